//! Rows as both databases hold them: every column once, with its type.

use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use crate::clock::Timestamp;
use crate::ids::{
    AuditId, CallId, EventId, LetterId, MessageId, RedirectId, SignInId, UserId, VerificationId,
};
use crate::store::sql_types::{Bytes, Key};

pub(crate) type SqliteQuery<'q> = Query<'q, Sqlite, SqliteArguments>;
pub(crate) type PgQuery<'q> = Query<'q, Postgres, PgArguments>;

/// A row that is written in batches.
pub(crate) trait BatchRow: Sized {
    /// How many columns it binds.
    const COLUMNS: usize;

    /// Binds the columns of this row, in order: a row of a multi-row VALUES.
    fn bind_row(self, query: SqliteQuery<'_>) -> SqliteQuery<'_>;

    /// Binds one array for each column, in order: the arguments of UNNEST.
    fn bind_columns(rows: Vec<Self>, query: PgQuery<'_>) -> PgQuery<'_>;
}

macro_rules! row {
    ($(#[$doc:meta])* $name:ident { $($column:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $(pub(crate) $column: $type,)*
        }

        // By hand: sqlx's derive would compile both databases a second time for the macro's host.
        impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for $name
        where
            &'static str: sqlx::ColumnIndex<R>,
            $($type: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,)*
        {
            fn from_row(row: &'r R) -> sqlx::Result<Self> {
                Ok(Self { $($column: row.try_get(stringify!($column))?,)* })
            }
        }

        impl BatchRow for $name {
            const COLUMNS: usize = [$(stringify!($column)),*].len();

            fn bind_row(self, query: SqliteQuery<'_>) -> SqliteQuery<'_> {
                query$(.bind(self.$column))*
            }

            fn bind_columns(rows: Vec<Self>, query: PgQuery<'_>) -> PgQuery<'_> {
                $(let mut $column: Vec<$type> = Vec::with_capacity(rows.len());)*
                for row in rows {
                    $($column.push(row.$column);)*
                }
                query$(.bind($column))*
            }
        }
    };
}

row! {
    /// A whole verification.
    VerificationRow {
        verification_id: VerificationId,
        account: String,
        live: bool,
        version: i32,
        status: String,
        to_sealed: Option<Vec<u8>>,
        to_hmac: Option<Key>,
        to_masked: String,
        purpose: String,
        locale: Option<String>,
        reference: Option<String>,
        metadata: Option<String>,
        session: Option<String>,
        client_ip: Option<String>,
        client_device_id: Option<String>,
        created_at: Timestamp,
        expires_at: Timestamp,
        ended_at: Option<Timestamp>,
        code_length: i32,
        code_space: i64,
        checks_max: i32,
        checks_used: i32,
        sends_max: i32,
        sends_used: i32,
        next_send_allowed_at: Timestamp,
        template: Option<String>,
        web_origin: Option<String>,
        android_app_hash: Option<String>,
        own_code: bool,
        workflow: String,
        next_at: Option<Timestamp>,
        also_sealed: Option<Vec<u8>>,
        user_id: Option<UserId>,
        sign_in_id: Option<SignInId>,
        proved: Option<String>,
    }
}

row! {
    /// What of a verification can change.
    VerificationChange {
        verification_id: VerificationId,
        version: i32,
        status: String,
        ended_at: Option<Timestamp>,
        code_length: i32,
        code_space: i64,
        checks_used: i32,
        sends_used: i32,
        next_send_allowed_at: Timestamp,
        workflow: String,
        next_at: Option<Timestamp>,
        proved: Option<String>,
    }
}

row! {
    /// A whole step, inserted or written over.
    StepRow {
        verification_id: VerificationId,
        n: i32,
        channel: String,
        status: String,
        detail: Option<String>,
        created_at: Timestamp,
        code_tail_hmac: Option<Bytes<32>>,
        code_number_hmac: Option<Bytes<32>>,
        code_length: Option<i32>,
        code_space: Option<i64>,
        code_checkable_until: Option<Timestamp>,
        secret_sealed: Option<Vec<u8>>,
        dispatches: String,
    }
}

row! {
    /// A whole call.
    CallRow {
        call_id: CallId,
        verification_id: VerificationId,
        step_n: i32,
        attempt: i32,
        account: String,
        live: bool,
        trunk: String,
        to_sealed: Option<Vec<u8>>,
        to_masked: String,
        dialled_sealed: Option<Vec<u8>>,
        caller_id_sealed: Option<Vec<u8>>,
        caller_id_masked: String,
        created_at: Timestamp,
        target: Option<String>,
        last_cseq: i32,
        rang: bool,
        ended_at: Option<Timestamp>,
        outcome: Option<String>,
        timeline: Option<String>,
        status: Option<i32>,
        q850: Option<i32>,
        retry_after_ms: Option<i64>,
        dialog_sealed: Option<Vec<u8>>,
    }
}

row! {
    /// What of a call can change. Sealed columns stay as they are or become null.
    CallChange {
        call_id: CallId,
        keep_dialled: bool,
        keep_caller_id: bool,
        target: Option<String>,
        last_cseq: i32,
        rang: bool,
        ended_at: Option<Timestamp>,
        outcome: Option<String>,
        timeline: Option<String>,
        status: Option<i32>,
        q850: Option<i32>,
        retry_after_ms: Option<i64>,
        dialog_sealed: Option<Vec<u8>>,
    }
}

row! {
    /// A verification that is pending.
    OpenRow {
        verification_id: VerificationId,
        account: String,
        live: bool,
        to_hmac: Key,
        purpose: String,
        slot: i32,
        session: Option<String>,
        expires_at: Timestamp,
    }
}

row! {
    /// An Idempotency-Key and its response.
    IdempotencyRow {
        key_hmac: Key,
        request_hmac: Key,
        response_sealed: Vec<u8>,
        created_at: Timestamp,
    }
}

row! {
    /// The events of one limit, inserted or written over.
    LimitRow {
        limit_hmac: Key,
        log: Vec<u8>,
        forgotten_at: Timestamp,
    }
}

row! {
    /// A tail that a number was shown, inserted or written over.
    TailRow {
        to_hmac: Key,
        tail_hmac: Key,
        shown_at: Timestamp,
    }
}

row! {
    /// A number that does not exist, inserted or written over.
    UnallocatedRow {
        to_hmac: Key,
        until: Timestamp,
    }
}

row! {
    /// A whole text.
    MessageRow {
        message_id: MessageId,
        account: String,
        live: bool,
        version: i32,
        direction: String,
        status: String,
        detail: Option<String>,
        to_sealed: Option<Vec<u8>>,
        to_hmac: Option<Key>,
        to_masked: String,
        sender: Option<String>,
        text_sealed: Option<Vec<u8>>,
        encoding: String,
        segments: i32,
        reference: Option<String>,
        trunk: Option<String>,
        maybe_duplicate: bool,
        created_at: Timestamp,
        valid_until: Timestamp,
        updated_at: Timestamp,
        parts: Option<String>,
        from_sealed: Option<Vec<u8>>,
        from_masked: Option<String>,
    }
}

row! {
    /// Under which id a message centre took a part of a text.
    SubmittedRow {
        link: String,
        remote_id: String,
        message_id: MessageId,
        part: i32,
        submitted_at: Timestamp,
        verification_id: Option<VerificationId>,
        parts: Option<i32>,
    }
}

row! {
    /// A part of a text from outside, inserted or written over.
    InboundPartRow {
        group_hmac: Key,
        part: i32,
        total: i32,
        octets_hmac: Key,
        content_sealed: Option<Vec<u8>>,
        received_at: Timestamp,
    }
}

row! {
    /// An event on its way to a webhook.
    DeliveryRow {
        event_id: EventId,
        webhook: String,
        kind: String,
        body_sealed: Vec<u8>,
        created_at: Timestamp,
        attempts: i32,
        next_at: Option<Timestamp>,
    }
}

row! {
    /// What of a delivery changes.
    DeliveryChangeRow {
        event_id: EventId,
        attempts: i32,
        next_at: Option<Timestamp>,
        ended_at: Option<Timestamp>,
        outcome: String,
    }
}

row! {
    /// An address of a webhook that wants nothing any more.
    DisabledRow {
        webhook: String,
        url_hmac: Key,
        disabled_at: Timestamp,
    }
}

row! {
    /// What of a text can change.
    MessageChangeRow {
        message_id: MessageId,
        version: i32,
        status: String,
        detail: Option<String>,
        trunk: Option<String>,
        maybe_duplicate: bool,
        updated_at: Timestamp,
        parts: Option<String>,
    }
}

row! {
    /// A whole API key, inserted or written over.
    ApiKeyRow {
        api_key_id: String,
        secret_sha256: Bytes<32>,
        account: Option<String>,
        live: bool,
        scopes: String,
        networks: String,
        label: Option<String>,
        created_at: Timestamp,
        expires_at: Option<Timestamp>,
        revoked_at: Option<Timestamp>,
        last_used_at: Option<Timestamp>,
    }
}

row! {
    /// A whole user, inserted or written over.
    UserRow {
        user_id: UserId,
        account: String,
        live: bool,
        version: i32,
        name: String,
        phone_sealed: Option<Vec<u8>>,
        phone_hmac: Option<Key>,
        phone_masked: Option<String>,
        email_sealed: Option<Vec<u8>>,
        email_hmac: Option<Key>,
        email_masked: Option<String>,
        login: Option<String>,
        login_hmac: Option<Key>,
        extension: Option<String>,
        role: Option<String>,
        enabled: bool,
        password_hash: Option<String>,
        created_at: Timestamp,
        updated_at: Timestamp,
    }
}

row! {
    /// A whole sign-in.
    SignInRow {
        sign_in_id: SignInId,
        account: String,
        live: bool,
        status: String,
        user_id: UserId,
        created_at: Timestamp,
        expires_at: Timestamp,
        ended_at: Option<Timestamp>,
        verification_id: Option<VerificationId>,
        typed_kind: Option<String>,
        typed_sealed: Option<Vec<u8>>,
    }
}

row! {
    /// The end of a sign-in that is open.
    SignInEndRow {
        sign_in_id: SignInId,
        status: String,
        ended_at: Timestamp,
        verification_id: Option<VerificationId>,
    }
}

row! {
    /// A whole redirect, inserted or written over.
    RedirectRow {
        redirect_id: RedirectId,
        account: String,
        live: bool,
        version: i32,
        phone_hmac: Key,
        phone_sealed: Vec<u8>,
        phone_masked: String,
        email_sealed: Vec<u8>,
        email_masked: String,
        mode: String,
        is_override: bool,
        reason_sealed: Option<Vec<u8>>,
        until: Timestamp,
        created_at: Timestamp,
        updated_at: Timestamp,
    }
}

row! {
    /// A letter that is under way.
    LetterRow {
        letter_id: LetterId,
        account: String,
        live: bool,
        kind: String,
        redirect_id: RedirectId,
        to_sealed: Option<Vec<u8>>,
        to_masked: String,
        content_sealed: Option<Vec<u8>>,
        message_id: Option<MessageId>,
        is_instead: bool,
        created_at: Timestamp,
        valid_until: Timestamp,
    }
}

row! {
    /// The end of a letter.
    LetterEndRow {
        letter_id: LetterId,
        ended_at: Timestamp,
        outcome: String,
        detail: String,
    }
}

row! {
    /// An entry of the audit.
    AuditRow {
        audit_id: AuditId,
        account: String,
        live: bool,
        kind: String,
        actor: Option<String>,
        subject: String,
        details_sealed: Vec<u8>,
        created_at: Timestamp,
    }
}
