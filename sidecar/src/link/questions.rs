//! Workers' questions for signing keys that they do not know.

use sekisho_link::v1;
use tokio::sync::mpsc;

use crate::jwks::KeySets;

/// Most questions of one worker that are open; to more the answer is to ask again.
const MOST_OPEN: usize = 512;
/// When to ask again then, and where there is nobody to ask.
const AGAIN_MILLIS: u64 = 1_000;

/// The open questions of one session.
#[derive(Debug)]
pub(super) struct Questions {
    key_sets: Option<KeySets>,
    open: usize,
    answering: mpsc::UnboundedSender<v1::KeySetAnswer>,
    answers: mpsc::UnboundedReceiver<v1::KeySetAnswer>,
}

impl Questions {
    pub(super) fn new(key_sets: Option<KeySets>) -> Self {
        let (answering, answers) = mpsc::unbounded_channel();
        Self {
            key_sets,
            open: 0,
            answering,
            answers,
        }
    }

    /// Takes a question; its answer comes by [`Self::next`].
    pub(super) fn ask(&mut self, question: v1::KeySetRequest) {
        let answering = self.answering.clone();
        let key_sets = self.key_sets.clone();
        let key_sets = key_sets.filter(|_| self.open < MOST_OPEN);
        self.open += 1;
        let mut answer = v1::KeySetAnswer {
            issuer: question.issuer,
            kid: question.kid,
            quiet_millis: AGAIN_MILLIS,
        };
        let Some(key_sets) = key_sets else {
            // The receiver is ours.
            let _ = answering.send(answer);
            return;
        };
        tokio::spawn(async move {
            let looked = key_sets.look(&answer.issuer, &answer.kid).await;
            answer.quiet_millis = looked.quiet_millis;
            // The session may be gone.
            let _ = answering.send(answer);
        });
    }

    /// Whether any question waits for its answer.
    pub(super) const fn are_open(&self) -> bool {
        self.open > 0
    }

    /// The next answer. Cancel-safe.
    pub(super) async fn next(&mut self) -> v1::KeySetAnswer {
        match self.answers.recv().await {
            Some(answer) => {
                self.open = self.open.saturating_sub(1);
                answer
            }
            // Never: a sender is ours.
            None => std::future::pending().await,
        }
    }

    /// The next answer, if there is one already.
    pub(super) fn poll_next(&mut self) -> Option<v1::KeySetAnswer> {
        let answer = self.answers.try_recv().ok()?;
        self.open = self.open.saturating_sub(1);
        Some(answer)
    }
}
