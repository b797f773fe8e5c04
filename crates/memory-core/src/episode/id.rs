//! Ids are made by the client, so that a retry can never write twice.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{NoContext, Uuid};

use crate::clock::Timestamp;
use crate::error::{Error, Result, excerpt};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $label:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh UUIDv7 (RFC 9562): ordered by `now`, unique by its random bits.
            pub fn generate(now: Timestamp) -> Self {
                let us = u64::try_from(now.0).unwrap_or(0);
                let nanos = u32::try_from(us % 1_000_000).unwrap_or(0) * 1000;
                $name(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, us / 1_000_000, nanos)))
            }

            /// A UUIDv8 (RFC 9562) from the SHA-256 of `parts`: the same parts, the same id.
            pub fn derive(parts: &[&[u8]]) -> Self {
                let mut hash = Sha256::new();
                for part in parts {
                    hash.update((part.len() as u64).to_le_bytes());
                    hash.update(part);
                }
                let mut bytes = [0; 16];
                for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
                    *to = from;
                }
                $name(uuid::Builder::from_custom_bytes(bytes).into_uuid())
            }

            /// The 16 bytes as they are stored.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// From the 16 stored bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                $name(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Uuid::parse_str(text.trim()).map($name).map_err(|_| {
                    Error::invalid(
                        $label,
                        format!("\"{}\" is no id; ids look like 0198c0de-7a3b-7c11-9e02-5d1f2a3b4c5d", excerpt(text)),
                    )
                })
            }
        }
    };
}

id!(
    /// Names an episode for ever: made once by the client, the idempotency key of its first write.
    EpisodeId, "episode id"
);
id!(
    /// Names one write. The same write id again is a replay and succeeds without a second effect.
    WriteId, "write id"
);
id!(
    /// Names a pattern or a heuristic; derived from what it says, so that equal ones merge.
    LessonId, "lesson id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_derive_equal_ids_and_part_borders_count() {
        let id = EpisodeId::derive(&[b"tau-bench", b"task 1"]);
        assert_eq!(id, EpisodeId::derive(&[b"tau-bench", b"task 1"]));
        assert_ne!(id, EpisodeId::derive(&[b"tau-benchtask", b" 1"]));
        assert_eq!(id.0.get_version_num(), 8);
    }

    #[test]
    fn generated_ids_sort_by_time_and_survive_their_text() {
        let early = EpisodeId::generate(Timestamp(1_700_000_000_000_000));
        let late = EpisodeId::generate(Timestamp(1_700_000_000_002_000));
        assert!(early < late);
        assert_eq!(early.to_string().parse::<EpisodeId>().unwrap(), early);
        assert!("nonsense".parse::<EpisodeId>().is_err());
    }

    #[test]
    fn times_before_the_epoch_still_give_ids() {
        assert_ne!(EpisodeId::generate(Timestamp(-5)), EpisodeId::generate(Timestamp(-5)));
    }
}
