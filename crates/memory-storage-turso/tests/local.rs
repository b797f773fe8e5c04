//! The store on a local file.

mod local {
    mod story;
}
