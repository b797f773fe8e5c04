//! An episode as the file holds it: postcard, in the common envelope.
//!
//! postcard writes neither names nor lengths of structs, so every field is always written, and a
//! mirror of the domain's types says which. Destructuring without `..` makes the compiler point here
//! when the domain grows a field; `FORMAT` has to go up then.

use std::collections::BTreeMap;

use memory_core::envelope::{self, Codec};
use memory_core::{
    Context, Episode, EpisodeId, LessonId, MetadataValue, Outcome, RawJson, Reflection, Result,
    Reward, Source, Step, Timestamp,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The format of everything in the file. A file of another format is set aside.
pub(crate) const FORMAT: u32 = 1;

macro_rules! mirror {
    ($domain:ident, $written:ident, $read:ident { $($field:ident: $out:ty, $in:ty;)* }) => {
        #[derive(Serialize)]
        struct $written<'a> { $($field: $out,)* }

        #[derive(Deserialize)]
        struct $read { $($field: $in,)* }

        impl From<$read> for $domain {
            fn from(read: $read) -> Self {
                let $read { $($field,)* } = read;
                $domain { $($field: $field.into(),)* }
            }
        }
    };
}

mirror!(Step, StepOut, StepIn {
    number: u32, u32;
    tool: &'a str, String;
    action: &'a str, String;
    parameters: &'a RawJson, RawJson;
    observation: &'a str, String;
    success: Option<bool>, Option<bool>;
    error: &'a Option<String>, Option<String>;
    latency_ms: Option<u64>, Option<u64>;
    tokens: Option<u64>, Option<u64>;
    at: Option<Timestamp>, Option<Timestamp>;
});

mirror!(Episode, EpisodeOut, EpisodeIn {
    id: EpisodeId, EpisodeId;
    project: &'a str, String;
    task_type: &'a str, String;
    task_description: &'a str, String;
    context: &'a Context, Context;
    started_at: Timestamp, Timestamp;
    ended_at: Option<Timestamp>, Option<Timestamp>;
    steps: Vec<StepOut<'a>>, Steps;
    outcome: &'a Option<Outcome>, Option<Outcome>;
    reward: &'a Option<Reward>, Option<Reward>;
    reflection: &'a Reflection, Reflection;
    lessons: &'a [LessonId], Vec<LessonId>;
    metadata: &'a BTreeMap<String, MetadataValue>, BTreeMap<String, MetadataValue>;
    source: &'a Option<Source>, Option<Source>;
    version: u64, u64;
    archived_at: Option<Timestamp>, Option<Timestamp>;
});

#[derive(Deserialize)]
struct Steps(Vec<StepIn>);

impl From<Steps> for Vec<Step> {
    fn from(steps: Steps) -> Self {
        steps.0.into_iter().map(Step::from).collect()
    }
}

impl<'a> From<&'a Step> for StepOut<'a> {
    fn from(step: &'a Step) -> Self {
        let Step {
            number,
            tool,
            action,
            parameters,
            observation,
            success,
            error,
            latency_ms,
            tokens,
            at,
        } = step;
        StepOut {
            number: *number,
            tool,
            action,
            parameters,
            observation,
            success: *success,
            error,
            latency_ms: *latency_ms,
            tokens: *tokens,
            at: *at,
        }
    }
}

impl<'a> From<&'a Episode> for EpisodeOut<'a> {
    fn from(episode: &'a Episode) -> Self {
        let Episode {
            id,
            project,
            task_type,
            task_description,
            context,
            started_at,
            ended_at,
            steps,
            outcome,
            reward,
            reflection,
            lessons,
            metadata,
            source,
            version,
            archived_at,
        } = episode;
        EpisodeOut {
            id: *id,
            project,
            task_type,
            task_description,
            context,
            started_at: *started_at,
            ended_at: *ended_at,
            steps: steps.iter().map(StepOut::from).collect(),
            outcome,
            reward,
            reflection,
            lessons,
            metadata,
            source,
            version: *version,
            archived_at: *archived_at,
        }
    }
}

/// An episode in its envelope. The stamp tells one writing of an id from every other.
///
/// # Errors
///
/// `Invalid` when it cannot be encoded.
pub fn encode_episode(stamp: u64, episode: &Episode) -> Result<Vec<u8>> {
    encode(&(stamp, EpisodeOut::from(episode)))
}

/// What [`encode_episode`] wrote.
///
/// # Errors
///
/// `Corrupt` when it is anything else.
pub fn decode_episode(id: EpisodeId, stored: &[u8]) -> Result<(u64, Episode)> {
    let (stamp, episode): (u64, EpisodeIn) = decode(&format_args!("cached episode {id}"), stored)?;
    Ok((stamp, episode.into()))
}

/// An episode in postcard alone: what a benchmark compares the rest with.
///
/// # Errors
///
/// `Invalid` when it cannot be encoded.
pub fn encode_body(episode: &Episode) -> Result<Vec<u8>> {
    to_postcard(&(0_u64, EpisodeOut::from(episode)))
}

/// What [`encode_body`] wrote, unchecked.
///
/// # Errors
///
/// `Corrupt` when it does not decode.
pub fn decode_body(body: &[u8]) -> Result<Episode> {
    let (_, episode): (u64, EpisodeIn) = from_postcard(&"an episode", body)?;
    Ok(episode.into())
}

/// Any other record, in the same envelope.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    envelope::seal(Codec::Postcard, &to_postcard(value)?)
}

fn to_postcard<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let body = postcard::to_stdvec(value);
    body.map_err(|e| memory_core::Error::invalid("cache value", e.to_string()))
}

fn from_postcard<T: DeserializeOwned>(thing: &dyn std::fmt::Display, body: &[u8]) -> Result<T> {
    let decoded = postcard::from_bytes(body);
    decoded.map_err(|e| envelope::damaged(thing, format!("it does not decode: {e}")))
}

/// What [`encode`] wrote; an error when it is anything else.
pub(crate) fn decode<T: DeserializeOwned>(
    thing: &dyn std::fmt::Display,
    stored: &[u8],
) -> Result<T> {
    match envelope::open(thing, stored)? {
        (Codec::Postcard, body) => from_postcard(thing, body),
        (codec, _) => Err(envelope::damaged(thing, format!("it is {codec:?}, not postcard"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory_core::{Complexity, OutcomeKind, RewardSource};

    /// With something in every field, so that none can be left out unnoticed.
    fn full() -> Episode {
        let mut episode = memory_testkit::generate::episode(1, 2, 4_000);
        episode.context = Context {
            domain: "web".into(),
            framework: "axum".into(),
            complexity: Some(Complexity::Complex),
            tags: vec!["a".into(), "b".into()],
            ..episode.context
        };
        if let Some(step) = episode.steps.first_mut() {
            step.parameters = RawJson::parse("{\"a\": [1, 0.10, null]}").unwrap();
            step.tokens = Some(17);
            step.at = Some(Timestamp(-5));
        }
        episode.outcome =
            Some(Outcome { at_step: Some(3), ..Outcome::new(OutcomeKind::Partial, "half") });
        episode.reward = Some(Reward {
            score: 0.25,
            source: RewardSource::User,
            components: BTreeMap::from([("x".into(), 0.1)]),
        });
        episode.reflection.worked.push("reading the log first".into());
        episode.lessons.push(LessonId::derive(&[b"x"]));
        for value in [MetadataValue::Boolean(true), MetadataValue::Real(0.5), "text".into()] {
            episode.metadata.insert(format!("{value:?}"), value);
        }
        episode.source =
            Some(Source { format: "f".into(), identity: "i".into(), digest: "d".into() });
        episode.version = 7;
        episode.archived_at = Some(Timestamp(9));
        episode
    }

    #[test]
    fn every_field_survives() {
        let episode = full();
        let stored = encode_episode(u64::MAX, &episode).unwrap();
        assert_eq!(decode_episode(episode.id, &stored).unwrap(), (u64::MAX, episode));
    }

    #[test]
    fn every_flipped_bit_of_a_stored_episode_is_noticed() {
        let mut episode = full();
        episode.steps.truncate(1);
        let stored = encode_episode(1, &episode).unwrap();
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_episode(episode.id, &flipped).is_err(), "bit {bit}");
        }
    }
}
