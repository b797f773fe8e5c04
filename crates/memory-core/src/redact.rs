//! Secrets are taken out of text before it is stored.
