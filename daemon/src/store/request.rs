//! What waits for the writer: a question, its answer once the batch has run, and who waits.

use tokio::sync::oneshot;

use crate::clock::Timestamp;
use crate::ids::{SignInId, UserId, VerificationId};
use crate::secrets::Keys;
use crate::store::StoreError;
use crate::store::api_key::ApiKeyId;
use crate::store::directory::{PutUsers, SignIn, SignInStatus, UsersPut};
use crate::store::idempotency::Idempotency;
use crate::store::inbound::{Given, ReceivePartAsk, SettleParts};
use crate::store::limit::{Limit, LimitReached};
use crate::store::message::{
    ChangeMessage, ChangePart, CreateMessage, MessageChanged, MessageCreated,
};
use crate::store::redirect::{DeleteRedirect, EndLetter, PutRedirect, RedirectPut, StoredLetter};
use crate::store::retention::{Chore, ChoreReport};
use crate::store::row::{ApiKeyRow, UnallocatedRow};
use crate::store::sql_types::Key;
use crate::store::texts::SubmittedCode;
use crate::store::view::Who;
use crate::store::webhook::{DeliveryChange, News};
use crate::store::write::{Applied, Apply, Create, Created};
use crate::verification::model::{Call, Channel, Step, StoredMailbox, StoredTarget};

/// A question to the writer. The answer is set while the batch runs and sent after its commit;
/// a batch that is repeated sets it again.
#[derive(Debug)]
pub(crate) struct Task<Q, A> {
    pub(crate) ask: Q,
    pub(crate) answer: Option<A>,
    reply: oneshot::Sender<Result<A, StoreError>>,
}

impl<Q, A> Task<Q, A> {
    /// The task, and where its answer will arrive.
    pub(crate) fn new(ask: Q) -> (Self, oneshot::Receiver<Result<A, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { ask, answer: None, reply }, answer)
    }

    fn finish(self, failure: Option<StoreError>) {
        let answer = match (failure, self.answer) {
            (None, Some(answer)) => Ok(answer),
            (None, None) => Err(StoreError::Unavailable),
            (Some(failure), _) => Err(failure),
        };
        // Whoever asked may have stopped waiting; what was stored stays stored.
        let _ = self.reply.send(answer);
    }
}

/// Everything that is written.
#[derive(Debug)]
pub(crate) enum Request {
    Create(Box<Task<CreateAsk, Created>>),
    Apply(Box<Task<ApplyAsk, Applied>>),
    CreateMessage(Box<Task<CreateMessageAsk, MessageCreated>>),
    ChangeMessage(Box<Task<ChangeMessage, MessageChanged>>),
    ChangePart(Box<Task<ChangePart, MessageChanged>>),
    ReceivePart(Box<Task<ReceivePartAsk, Vec<Given>>>),
    SettleParts(Task<SettleParts, Vec<Given>>),
    SubmittedCode(Box<Task<SubmittedCode, ()>>),
    Tell(Box<Task<News, ()>>),
    PutRedirect(Box<Task<PutRedirect, RedirectPut>>),
    DeleteRedirect(Task<DeleteRedirect, bool>),
    EndLetter(Box<Task<EndLetter, ()>>),
    ChangeDelivery(Box<Task<DeliveryChange, ()>>),
    Unallocated(Task<UnallocatedRow, ()>),
    CreateApiKey(Box<Task<ApiKeyRow, ()>>),
    RevokeApiKey(Task<(ApiKeyId, Timestamp), bool>),
    TouchApiKey(Task<(ApiKeyId, Timestamp), ()>),
    PutUsers(Box<Task<UserAsk, UsersPut>>),
    DeleteUser(Task<(Who, UserId), bool>),
    CreateSignIn(Box<Task<SignIn, ()>>),
    EndSignIn(Task<(SignInId, SignInStatus), ()>),
    Take(Box<Task<TakeAsk, Option<LimitReached>>>),
    Chore(Task<Chore, ChoreReport>),
    Ping(Task<(), ()>),
}

impl Request {
    /// Sends the answer, or the failure.
    pub(crate) fn finish(self, failure: Option<StoreError>) {
        match self {
            Self::Create(task) => task.finish(failure),
            Self::Apply(task) => task.finish(failure),
            Self::CreateMessage(task) => task.finish(failure),
            Self::ChangeMessage(task) => task.finish(failure),
            Self::ChangePart(task) => task.finish(failure),
            Self::ReceivePart(task) => task.finish(failure),
            Self::SettleParts(task) => task.finish(failure),
            Self::SubmittedCode(task) => task.finish(failure),
            Self::Tell(task) => task.finish(failure),
            Self::PutRedirect(task) => task.finish(failure),
            Self::DeleteRedirect(task) => task.finish(failure),
            Self::EndLetter(task) => task.finish(failure),
            Self::ChangeDelivery(task) => task.finish(failure),
            Self::Unallocated(task) => task.finish(failure),
            Self::CreateApiKey(task) => task.finish(failure),
            Self::RevokeApiKey(task) => task.finish(failure),
            Self::TouchApiKey(task) => task.finish(failure),
            Self::PutUsers(task) => task.finish(failure),
            Self::DeleteUser(task) => task.finish(failure),
            Self::CreateSignIn(task) => task.finish(failure),
            Self::EndSignIn(task) => task.finish(failure),
            Self::Take(task) => task.finish(failure),
            Self::Chore(task) => task.finish(failure),
            Self::Ping(task) => task.finish(failure),
        }
    }
}

/// The hashes of an Idempotency-Key and of the request that it came with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdempotencyHashes {
    pub(crate) key: Key,
    pub(crate) request: Key,
}

impl IdempotencyHashes {
    pub(crate) fn new(keys: &Keys, account: &str, key: &str, request: &[u8]) -> Self {
        let account = account.as_bytes();
        Self {
            key: Key::cut(keys.text_hmac("idempotency-key", &[account, key.as_bytes()])),
            request: Key::cut(keys.text_hmac("idempotency-request", &[account, request])),
        }
    }

    pub(crate) fn of<T>(
        keys: &Keys,
        account: &str,
        idempotency: Option<&Idempotency<T>>,
    ) -> Option<Self> {
        idempotency.map(|it| Self::new(keys, account, &it.key, &it.request))
    }
}

/// Where a limit's row is found.
pub(crate) fn limit_hash(keys: &Keys, limit: &Limit) -> Key {
    let [kind, first, second] = limit.subject.parts();
    // The counts of one subject stand side by side: they are mostly written together.
    Key::beside(
        keys.text_hmac("limit", &[&kind, &first, &second]),
        keys.text_hmac("limit-scope", &[limit.scope.as_bytes()]),
    )
}

/// Limits to take from, with the hashes of their rows.
#[derive(Debug)]
pub(crate) struct TakeAsk {
    pub(crate) limits: Vec<Limit>,
    pub(crate) hashes: Vec<Key>,
}

impl TakeAsk {
    pub(crate) fn new(keys: &Keys, limits: &[Limit]) -> Self {
        let hashes = limits.iter().map(|limit| limit_hash(keys, limit)).collect();
        Self { limits: limits.to_vec(), hashes }
    }
}

/// A verification to store, with the hashes of what has to be looked up.
#[derive(Debug)]
pub(crate) struct CreateAsk {
    pub(crate) create: Create,
    pub(crate) to: Key,
    pub(crate) limits: Vec<Key>,
    pub(crate) tails: Vec<Key>,
    pub(crate) idempotency: Option<IdempotencyHashes>,
}

impl CreateAsk {
    /// An error: the number is blanked, so there is nothing to prove.
    pub(crate) fn new(keys: &Keys, create: Create) -> Result<Self, StoreError> {
        let blanked = StoreError::Damaged { table: "verification", column: "to" };
        let target = target_hash(keys, &create.verification.to).ok_or(blanked)?;
        let number = create.verification.number();
        let steps = create.verification.steps.iter().filter(|step| shows_tails(step));
        let calls = steps.flat_map(|step| &step.calls);
        Ok(Self {
            to: target,
            limits: create.limits.iter().map(|limit| limit_hash(keys, limit)).collect(),
            tails: number.map_or_else(Vec::new, |to| {
                calls.filter_map(|call| tail_hash(keys, &to, call)).collect()
            }),
            idempotency: IdempotencyHashes::of(
                keys,
                &create.verification.account,
                create.idempotency.as_ref(),
            ),
            create,
        })
    }
}

/// Whether the caller IDs of a step's calls are codes, which no number is to see twice.
pub(crate) fn shows_tails(step: &Step) -> bool {
    step.channel == Channel::FlashCall
}

/// Users to store, with the hashes of what has to be looked up.
#[derive(Debug)]
pub(crate) struct UserAsk {
    pub(crate) put: PutUsers,
    pub(crate) keys: Vec<Key>,
}

impl UserAsk {
    pub(crate) fn new(keys: &Keys, put: PutUsers) -> Self {
        let identifiers = put.users.iter().flat_map(|(user, _)| user.identifiers());
        let hashes = identifiers.map(|(_, it)| it.key(keys, &put.account, put.live)).collect();
        Self { keys: hashes, put }
    }
}

/// What stands for a target where equality is searched; `None`: it is blanked.
pub(crate) fn target_hash(keys: &Keys, target: &StoredTarget) -> Option<Key> {
    match target {
        StoredTarget::Number(number) => {
            number.full().map(|number| Key::cut(keys.number_hmac(&number)))
        }
        StoredTarget::Mailbox(StoredMailbox::Full(address)) => {
            Some(Key::cut(keys.text_hmac("mailbox", &[address.folded().as_bytes()])))
        }
        StoredTarget::Mailbox(StoredMailbox::Blanked(_)) => None,
    }
}

/// What is kept of the tail that a call shows.
pub(crate) fn tail_hash(keys: &Keys, to: &dialplans::E164, call: &Call) -> Option<Key> {
    call.caller_id.map(|caller_id| Key::cut(keys.tail_hmac(to, &caller_id.tail())))
}

/// An input, with the hashes of what has to be looked up.
#[derive(Debug)]
pub(crate) struct ApplyAsk {
    pub(crate) apply: Apply,
    pub(crate) limits: Vec<Key>,
    pub(crate) idempotency: Option<IdempotencyHashes>,
}

impl ApplyAsk {
    pub(crate) fn new(keys: &Keys, apply: Apply) -> Self {
        Self {
            limits: apply.limits.iter().map(|limit| limit_hash(keys, limit)).collect(),
            idempotency: IdempotencyHashes::of(
                keys,
                apply.who.account(),
                apply.idempotency.as_ref(),
            ),
            apply,
        }
    }

    pub(crate) fn verification_id(&self) -> VerificationId {
        self.apply.verification_id
    }
}

/// A text to store, with the hashes of what has to be looked up.
#[derive(Debug)]
pub(crate) struct CreateMessageAsk {
    pub(crate) create: CreateMessage,
    /// The letter that carries it, where a redirect says so.
    pub(crate) letter: Option<StoredLetter>,
    pub(crate) limits: Vec<Key>,
    pub(crate) idempotency: Option<IdempotencyHashes>,
}

impl CreateMessageAsk {
    pub(crate) fn new(keys: &Keys, create: CreateMessage) -> Self {
        Self {
            limits: create.limits.iter().map(|limit| limit_hash(keys, limit)).collect(),
            idempotency: IdempotencyHashes::of(
                keys,
                &create.message.account,
                create.idempotency.as_ref(),
            ),
            letter: None,
            create,
        }
    }
}
