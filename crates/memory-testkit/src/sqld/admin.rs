//! The server's admin API.

use std::net::SocketAddr;

use serde_json::Value;

use super::http;

const CONFIG: &str = "/v1/namespaces/default/config";

/// The API replaces the whole configuration: read it, change one field, put it back.
pub(super) fn set_strong_durability(admin: SocketAddr) {
    let before = http::get(admin, CONFIG).expect("the admin API answers");
    let mut config: Value = serde_json::from_str(&before.body)
        .unwrap_or_else(|e| panic!("the namespace's configuration: {e}: {}", before.body));
    config
        .as_object_mut()
        .expect("the configuration is an object")
        .insert("durability_mode".to_owned(), "strong".into());
    let after = http::post(admin, CONFIG, &config.to_string()).expect("the admin API answers");
    assert_eq!(after.status, 200, "strong durability was refused: {}", after.body);
}
