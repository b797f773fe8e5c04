//! The store on a local file.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a broken promise fails the test")]

mod local {
    mod child;
    mod clock;
    mod concurrency;
    mod damage;
    mod files;
    mod kill;
    mod log;
    mod search;
    mod statements;
    mod story;
    mod support;
    mod verify;
}
