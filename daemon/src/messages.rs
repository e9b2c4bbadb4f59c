//! Texts that clients relay: written down, then handed on at least once.

pub mod coding;
mod deliver;
pub mod preview;
mod receive;
mod recovery;
pub mod redirects;
mod sender;
pub mod smpp;

use std::time::Duration;

use config::{Template, TemplateName};
use dialplans::{
    CallerIdWish, E164, PlanRequest, PoolChoice, RecentTails, RestingCallerIds, TrunkHealth,
    TrunkName,
};

use crate::accounts::ActingAccount;
use crate::app::{App, Settings};
use crate::ids::MessageId;
use crate::limits;
use crate::store::{
    CreateMessage, Direction, Idempotency, LimitReached, Message, MessageCreated, MessageStatus,
    Part, RedirectMode, StoreError, Who,
};
use crate::verification::service::{Accepted, Wait};

pub use receive::{Arrived, Sender, receive, receive_part};
pub use recovery::recover;
pub use sender::{OutgoingText, ReadyText, RouteError, TextEnd, reserve, route, taken_word};

/// How long a text may wait for its trunk when the client does not say.
const DEFAULT_VALIDITY: Duration = Duration::from_secs(3600);

/// Longest text in bytes: what 1300 bytes of a SIP request (RFC 3428 section 8) leave beside
/// the shortest header section.
pub const TEXT_LIMIT: usize = 1000;

/// A text that a client wishes to send, checked in form.
#[derive(Clone)]
pub struct NewMessage {
    /// To whom.
    pub to: E164,
    /// What.
    pub content: Content,
    /// The sender's name or number; `None`: the trunk's own.
    pub sender: Option<String>,
    /// The client's own reference.
    pub reference: Option<String>,
    /// How long it may wait for its trunk.
    pub valid_for: Option<Duration>,
}

/// The wording of a text. Never prints.
#[derive(Clone)]
pub enum Content {
    /// As the client wrote it.
    Text(String),
    /// A template of the file.
    Template {
        /// Which.
        name: TemplateName,
        /// In which language; `None`: the only one there is.
        locale: Option<String>,
        /// What stands in its places.
        variables: Vec<(String, String)>,
    },
}

/// Why a text was not taken. Nothing was stored and nothing sent.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// No way leads there.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The sender is not in the account's list.
    #[error("the sender is not in the account's list")]
    SenderNotAllowed,
    /// The file has no such template or not in this language.
    #[error("no such template")]
    NoTemplate,
    /// A variable of the template was not given.
    #[error(transparent)]
    MissingVariable(#[from] config::MissingVariable),
    /// The text does not fit into one message.
    #[error("the text is too long")]
    TooLong,
    /// A limit has no room.
    #[error("a limit has no room")]
    Limit(LimitReached),
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    OtherRequest,
    /// The process is stopping.
    #[error("the process is stopping")]
    Stopping,
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes a text down and starts to hand it on.
pub async fn create(
    app: &App,
    account: &ActingAccount,
    wish: NewMessage,
    idempotency: Option<Idempotency<Message>>,
) -> Result<Accepted<Box<Message>>, CreateError> {
    if app.stop().is_cancelled() {
        return Err(CreateError::Stopping);
    }
    let settings = app.settings();
    let allowed = |sender: &String| account.rules.senders.iter().any(|own| own.reveal() == sender);
    if !wish.sender.as_ref().is_none_or(allowed) {
        return Err(CreateError::SenderNotAllowed);
    }
    let redirect = redirects::find(app, &account.who(), &wish.to).await?;
    let mut message = outbound(app, &settings, account, wish)?;
    if redirect.as_ref().is_some_and(|redirect| redirect.mode == RedirectMode::Instead) {
        // It goes as a letter, whole.
        (message.trunk, message.segments, message.parts) = (None, 1, Vec::new());
        message.encoding = "utf8".to_owned();
    }
    let letter = redirect.map(|it| redirects::letter_of(app, account, &it, &message));
    let limits = match message.to.full().filter(|_| account.live) {
        Some(to) => vec![limits::for_send(&settings.config.limits, &to)],
        None => Vec::new(),
    };
    let create = CreateMessage { message, limits, idempotency };
    let created = match letter.clone() {
        Some(letter) => app.store().create_message_with_letter(create, letter).await?,
        None => app.store().create_message(create).await?,
    };
    match created {
        MessageCreated::Stored { message, response } => {
            if !letter.as_ref().is_some_and(|letter| letter.is_instead) {
                deliver::start(app, (*message).clone());
            }
            if let Some(letter) = letter {
                redirects::letters::start(app, letter);
            }
            Ok(Accepted::Done(message, response))
        }
        MessageCreated::Replayed(response) => Ok(Accepted::Replayed(response)),
        MessageCreated::OtherRequest => Err(CreateError::OtherRequest),
        MessageCreated::Limit(reached) => Err(CreateError::Limit(reached)),
    }
}

/// A text of the gateway's own, not stored.
fn notice(
    app: &App,
    account: &ActingAccount,
    to: E164,
    text: String,
    valid_for: Duration,
) -> Result<Message, CreateError> {
    let sender = account.rules.senders.first().map(|sender| sender.reveal().to_owned());
    let wish = NewMessage {
        to,
        content: Content::Text(text),
        sender,
        reference: None,
        valid_for: Some(valid_for),
    };
    outbound(app, &app.settings(), account, wish)
}

/// A text with its way and form, not stored.
fn outbound(
    app: &App,
    settings: &Settings,
    account: &ActingAccount,
    wish: NewMessage,
) -> Result<Message, CreateError> {
    let text = wording(settings, &wish.content)?;
    let trunk = if account.live { Some(route(settings, &wish.to)?) } else { None };
    let form = Form::of(settings, trunk.as_ref(), &text)?;
    let now = app.now();
    Ok(Message {
        message_id: app.message_id(now),
        account: account.name.to_string(),
        live: account.live,
        version: 1,
        direction: Direction::Outbound,
        status: MessageStatus::Accepted,
        detail: None,
        to: wish.to.into(),
        sender: wish.sender,
        from: None,
        parts: vec![Part::accepted(now); form.parts],
        text: Some(text),
        encoding: form.encoding.to_owned(),
        segments: form.segments,
        reference: wish.reference,
        trunk,
        maybe_duplicate: false,
        created_at: now,
        valid_until: now + wish.valid_for.unwrap_or(DEFAULT_VALIDITY),
        updated_at: now,
    })
}

/// One text, when its version is above what the reader knows; else after the limit, or when the
/// process stops. `None`: not there or not for `who`.
pub async fn wait(
    app: &App,
    who: &Who,
    message_id: MessageId,
    wait: Wait,
) -> Result<Option<Message>, StoreError> {
    // Subscribed before it is read, so that no change falls between the two.
    let mut versions = app.store().watch_message(message_id);
    let limit = tokio::time::sleep(wait.limit);
    tokio::pin!(limit);
    let mut known = wait.after;
    loop {
        let Some(message) = app.store().message(who, message_id).await? else { return Ok(None) };
        let known = *known.get_or_insert(message.version);
        if message.version > known || !message.status.is_open() {
            return Ok(Some(message));
        }
        tokio::select! {
            () = versions.above(message.version) => {}
            () = &mut limit => return Ok(Some(message)),
            () = app.stop().cancelled() => return Ok(Some(message)),
        }
    }
}

/// How a text travels.
struct Form {
    encoding: &'static str,
    segments: u16,
    /// Parts with a delivery record of their own; 0: it is carried whole.
    parts: usize,
}

impl Form {
    fn of(settings: &Settings, route: Option<&TrunkName>, text: &str) -> Result<Self, CreateError> {
        if let Some(link) = route.and_then(|route| settings.config.smpp.get(route)) {
            let (alphabet, segments, parts) = smpp::plan(link, text).ok_or(CreateError::TooLong)?;
            let segments = u16::try_from(segments).map_err(|_| CreateError::TooLong)?;
            return Ok(Self { encoding: alphabet.as_str(), segments, parts });
        }
        if text.len() > TEXT_LIMIT {
            return Err(CreateError::TooLong);
        }
        // A SIP MESSAGE carries the text whole; what the carrier makes of it is not told.
        Ok(Self { encoding: "utf8", segments: 1, parts: 0 })
    }
}

/// Whether the operator lets anything go to this number at all.
fn is_routed(settings: &Settings, to: &E164) -> bool {
    let request = PlanRequest {
        pools: PoolChoice::Any,
        min_endings: 1,
        allow_small_pools: [].into(),
        resting: RestingCallerIds::default(),
        ring_limit: None,
        caller_id: CallerIdWish::Drawn,
    };
    let nothing = TrunkHealth::new();
    let explained = settings.dialplan.explain(to, &request, &RecentTails::none(), &nothing);
    !explained.routes.is_empty()
}

pub(crate) fn wording(settings: &Settings, content: &Content) -> Result<String, CreateError> {
    match content {
        Content::Text(text) => Ok(text.clone()),
        Content::Template { name, locale, variables } => {
            let languages = settings.config.templates.get(name).ok_or(CreateError::NoTemplate)?;
            let template: &Template = match locale {
                Some(locale) => languages.get(locale),
                None if languages.len() == 1 => languages.values().next(),
                None => None,
            }
            .ok_or(CreateError::NoTemplate)?;
            let value = |wanted: &str| {
                let found = variables.iter().find(|(name, _)| name == wanted);
                found.map(|(_, value)| value.as_str())
            };
            Ok(template.render(value)?)
        }
    }
}
