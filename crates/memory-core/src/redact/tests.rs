use super::*;
use crate::{EpisodeId, Outcome, OutcomeKind, RawJson, Timestamp};

/// Keys are put together here so that no scanner takes this file for a leak.
fn key(prefix: &str, length: usize) -> String {
    let alphabet = b"aB3dE5gH7jK9mN2pQ4sT6vW8xY0z";
    let tail = (0..length).map(|i| char::from(alphabet[(i * 11 + length) % alphabet.len()]));
    prefix.chars().chain(tail).collect()
}

fn upper(prefix: &str, length: usize) -> String {
    prefix.to_owned() + &key("", length).to_uppercase()
}

#[test]
fn keys_with_a_known_format_are_redacted_wherever_they_stand() {
    let jwt = format!("{}.{}.{}", key("eyJ", 20), key("eyJ", 40), key("", 43));
    for (kind, secret) in [
        ("aws-key", upper("AKIA", 16)),
        ("github-token", key("ghp_", 36)),
        ("github-token", key("github_pat_", 60)),
        ("gitlab-token", key("glpat-", 20)),
        ("slack-token", key("xoxb-", 40)),
        ("stripe-key", key("sk_live_", 24)),
        ("api-key", key("sk-", 48)),
        ("api-key", key("sk-ant-api03-", 80)),
        ("google-key", key("AIza", 35)),
        ("npm-token", key("npm_", 36)),
        ("pypi-token", key("pypi-AgEIcHlwaS5vcmc", 60)),
        ("jwt", jwt),
    ] {
        for (before, after) in [("", ""), ("use ", " now"), ("x=\"", "\";"), ("é", "日")] {
            let text = format!("{before}{secret}{after}");
            let redacted = redact_text(&text);
            assert!(!redacted.contains(&secret), "{kind} stayed in {redacted}");
            assert!(redacted.contains("[redacted:"), "{redacted}");
            assert_eq!(redact_text(&redacted), redacted);
        }
        assert_eq!(redact_text(&format!("use {secret} now")), format!("use [redacted:{kind}] now"));
    }
}

#[test]
fn private_key_blocks_go_as_a_whole_even_when_cut() {
    let body = format!("{}\n{}\n", key("MII", 60), key("", 64));
    let name = "RSA PRIVATE KEY";
    let block = format!("-----BEGIN {name}-----\n{body}-----END {name}-----");
    assert_eq!(redact_text(&format!("a\n{block}\nb")), "a\n[redacted:private-key]\nb");
    let cut = format!("-----BEGIN {name}-----\n{body}");
    assert!(!redact_text(&cut).contains(body.trim()));
}

#[test]
fn credentials_in_urls_and_headers_are_redacted() {
    let token = key("", 40);
    for (text, expected) in [
        (
            "git clone https://bob:s3cr3t@example.com/x.git".to_owned(),
            "git clone https://bob:[redacted:password]@example.com/x.git".to_owned(),
        ),
        (
            "postgres://u:p%40ss@db:5432/x".into(),
            "postgres://u:[redacted:password]@db:5432/x".into(),
        ),
        (
            format!("curl -H 'Authorization: Bearer {token}' x"),
            "curl -H 'Authorization: Bearer [redacted:authorization]' x".into(),
        ),
        (
            "Authorization: Basic dXNlcjpwYXNzd29yZA==".into(),
            "Authorization: Basic [redacted:authorization]".into(),
        ),
        ("curl -u bob:hunter2 http://x".into(), "curl -u bob:[redacted:password] http://x".into()),
    ] {
        assert_eq!(redact_text(&text), expected);
    }
}

#[test]
fn values_of_telling_names_are_redacted() {
    let random = key("", 24);
    for (text, expected) in [
        ("password=hunter2 x".to_owned(), "password=[redacted:password] x".to_owned()),
        ("DB_PASSWORD: \"correcthorse\"".into(), "DB_PASSWORD: \"[redacted:password]\"".into()),
        ("mysql --password hunter2".into(), "mysql --password [redacted:password]".into()),
        (format!("export API_KEY={random}"), "export API_KEY=[redacted:key]".into()),
        (format!("client_secret: '{random}'"), "client_secret: '[redacted:secret]'".into()),
        (
            format!("{{\"access_token\": \"{random}\"}}"),
            "{\"access_token\": \"[redacted:token]\"}".into(),
        ),
        (
            format!("aws_secret_access_key = {}/{}", key("", 20), key("", 19)),
            "aws_secret_access_key = [redacted:key]".into(),
        ),
        (
            format!("{{\\\"api_key\\\": \\\"{random}\\\"}}"),
            "{\\\"api_key\\\": \\\"[redacted:key]\\\"}".into(),
        ),
    ] {
        assert_eq!(redact_text(&text), expected, "{text}");
    }
}

#[test]
fn code_hashes_and_placeholders_stay() {
    for text in [
        "password = input()",
        "password = getpass.getpass(\"Password: \")",
        "token = self.next_token()",
        "token: Option<String>, secret: &'a str",
        "let token = tokens[i + 1];",
        "max_tokens=4096, token_count: 12345678",
        "eos_token = \"<|endoftext|>\"",
        "api_key = os.environ[\"OPENAI_API_KEY\"]",
        "API_KEY=$OPENAI_KEY password=${PASSWORD}",
        "password: required; the password must have 8 characters",
        "f32a3a97638afeb2ee2a15cfe335ab72  /testbed/Hello.java",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "https://example.com:8080/a@b and user@example.com",
        "ssh git@github.com:a/b.git",
        "<div id=\"sk-estimator-container-id-1\">",
        "bearer of bad news, Bearer token",
        "id 550e8400-e29b-41d4-a716-446655440000",
        "",
    ] {
        assert!(matches!(redact_text(text), Cow::Borrowed(_)), "{:?}", redact_text(text));
    }
}

#[test]
fn json_stays_valid_and_its_numbers_stay_to_the_letter() {
    let mut step = Step::default();
    let json = format!(
        r#"{{"n":1e400,"password":"p\"w\\x","nested":[{{"api_key":"{}"}},"{}"],"secret":12,"tokens":["a","b"]}}"#,
        key("", 30),
        upper("AKIA", 16),
    );
    step.parameters = RawJson::parse(&json).unwrap();
    assert_eq!(redact_step(&mut step), 3);
    assert_eq!(
        step.parameters.as_str(),
        r#"{"n":1e400,"password":"[redacted:password]","nested":[{"api_key":"[redacted:key]"},"[redacted:aws-key]"],"secret":12,"tokens":["a","b"]}"#
    );
    assert_eq!(redact_step(&mut step), 0);
}

#[test]
fn every_text_of_an_episode_is_redacted() {
    let secret = key("ghp_", 36);
    let said = || format!("it is {secret}");
    let mut episode = Episode::start(EpisodeId::derive(&[b"x"]), "p", said(), Timestamp(0));
    episode.context.tags.push(said());
    episode.metadata.insert("note".into(), MetadataValue::Text(said()));
    episode.metadata.insert("db_password".into(), "letmein".into());
    episode.steps.push(Step {
        action: said(),
        observation: said(),
        error: Some(said()),
        parameters: RawJson::parse(&format!("{{\"x\":\"{}\"}}", said())).unwrap(),
        ..Step::default()
    });
    episode.outcome = Some(Outcome::new(OutcomeKind::Success, said()));
    episode.reflection.worked.push(said());
    episode.reflection.failed.push(said());
    episode.reflection.next_time.push(said());
    assert_eq!(redact_episode(&mut episode), 12);
    let json = serde_json::to_string(&episode).unwrap();
    assert!(!json.contains(&secret) && !json.contains("letmein"), "{json}");
    assert_eq!(redact_episode(&mut episode), 0);
}

#[test]
fn any_text_can_be_redacted() {
    let pieces =
        ["password", "=", "\"", ":", " ", "é", "--", "\\", "token", "'", "eyJ", "@", "://"];
    let mut state = 3u64;
    for _ in 0..3000 {
        let text: String = (0..12)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(11);
                pieces[(state >> 40) as usize % pieces.len()]
            })
            .collect();
        let once = redact_text(&text).into_owned();
        assert_eq!(redact_text(&once), once, "{text:?}");
    }
}
