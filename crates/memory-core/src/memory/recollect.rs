//! Recall, feedback, forget.

use super::Memory;
use crate::episode::EpisodeId;
use crate::error::Result;
use crate::store::{EpisodeStore, Feedback, Forget, Scope, Write};

impl<S: EpisodeStore> Memory<S> {
    /// Records whether something recalled was of use. The last word per (subject, by) counts.
    pub async fn feedback(&self, feedback: Feedback) -> Result<()> {
        self.write_one(Write::Feedback(feedback)).await.map(|_| ())
    }

    /// Deletes an episode and all that points to it. Forgetting it again is harmless.
    pub async fn forget(&self, scope: &Scope, id: EpisodeId) -> Result<()> {
        let forget = Forget { id, scope: scope.clone(), at: self.now() };
        self.write_one(Write::Forget(forget)).await.map(|_| ())
    }
}
