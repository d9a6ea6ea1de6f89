//! What is worked out from the view in force by the code of the commands, which is not here: `meridian` puts it in.

use std::fmt::Debug;
use std::sync::Arc;

use meridian_model::{Order, OverrideTarget};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::wire;

/// Answers that take work, each by the same code as its command. They may take seconds, and are called where nothing
/// waits for the thread.
pub trait Advisor: Debug + Send + Sync {
    /// Why a client gets the answer that it gets now.
    ///
    /// # Errors
    /// What is wrong with the question, with its key.
    fn explain(&self, asked: &wire::ExplainQuery) -> Result<Explained, String>;

    /// Whether residency holds, whatever is healthy.
    fn prove(&self) -> wire::Proof;

    /// What a configuration would move, with everything healthy.
    ///
    /// # Errors
    /// Every issue of the text.
    fn diff(&self, text: &str) -> Result<wire::Diff, String>;

    /// Whether these overrides could leave clients with nothing that serves, in place of those in force: told soon, and
    /// now and then of what turns out to leave nobody.
    fn endangers(&self, said: &[(OverrideTarget, Order)]) -> bool;

    /// The same for a reload; or it could break residency that holds.
    ///
    /// # Errors
    /// Every issue of the file.
    fn reload_endangers(&self, said: &[(OverrideTarget, Order)]) -> Result<bool, String>;

    /// What these overrides would do now in place of those in force.
    fn overriding(&self, said: &[(OverrideTarget, Order)]) -> wire::Consequences;

    /// What a reload would do now.
    ///
    /// # Errors
    /// Every issue of the file.
    fn rehearse(&self, said: &[(OverrideTarget, Order)]) -> Result<wire::Rehearsal, String>;
}

/// An explanation for programs and for people.
#[derive(Clone, Debug)]
pub struct Explained {
    /// For programs.
    pub explanation: wire::Explanation,
    /// What `meridian explain` prints.
    pub text: String,
}

/// An [`Advisor`] with a queue: each question takes a core and the memory of a view.
#[derive(Clone, Debug)]
pub(crate) struct Advice {
    advisor: Arc<dyn Advisor>,
    turns: Arc<Semaphore>,
}

impl Advice {
    pub(crate) fn new(advisor: Arc<dyn Advisor>) -> Self {
        Self { advisor, turns: Arc::new(Semaphore::new(1)) }
    }

    /// Asks when it is this question's turn. `None`: the answer was not to be had, which is logged.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Advisor) -> T + Send + 'static,
    ) -> Option<T> {
        // Nobody closes it.
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        let advisor = Arc::clone(&self.advisor);
        let answered = spawn_blocking(move || {
            // Until it is answered, also where who asked is gone.
            let _turn = turn;
            question(&*advisor)
        });
        answered.await.inspect_err(|error| tracing::error!("a question of the API: {error}")).ok()
    }
}
