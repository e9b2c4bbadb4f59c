//! Between rows and what they mean. A row that no version of this program writes is named by
//! table and column, never by its content.

use std::time::Duration;

use dialplans::{CallerId, CodeLength, E164, TrunkName};
use rand_chacha::ChaCha20Rng;
use sip::{CallOutcome, SavedDialog, UserPart};

use crate::clock::Timestamp;
use crate::email_address::EmailAddress;
use crate::ids::{CallId, VerificationId};
use crate::secrets::{Keys, SealedColumn};
use crate::store::StoreError;
use crate::store::request::target_hash;
use crate::store::row::{CallChange, CallRow, StepRow, VerificationChange, VerificationRow};
use crate::store::sql_types::{Bytes, Key};
use crate::store::timeline;
use crate::store::view::{CallView, UnfinishedCall};
use crate::store::workflow;
use crate::verification::model::{
    Call, CallRecord, CallState, Channel, Client, CodeDigits, Proved, Step, StepCode, StepStatus,
    StoredMailbox, StoredNumber, StoredTarget, Verification, VerificationStatus, Wording,
};

pub(crate) const VERIFICATION_TO: SealedColumn = SealedColumn("verification.to");
const VERIFICATION_ALSO: SealedColumn = SealedColumn("verification.also");
pub(crate) const CALL_TO: SealedColumn = SealedColumn("call.to");
pub(crate) const CALL_DIALLED: SealedColumn = SealedColumn("call.dialled");
pub(crate) const CALL_DIALOG: SealedColumn = SealedColumn("call.dialog");
pub(crate) const CALL_CALLER_ID: SealedColumn = SealedColumn("call.caller_id");
/// Bound to the verification's id with the step's number in its last bits.
const STEP_SECRET: SealedColumn = SealedColumn("step.secret");

/// Names the table of a damaged row once for all its columns.
#[derive(Clone, Copy)]
pub(crate) struct Table(pub(crate) &'static str);

impl Table {
    pub(crate) fn damaged(self, column: &'static str) -> StoreError {
        StoreError::Damaged { table: self.0, column }
    }

    pub(crate) fn column<T>(self, column: &'static str, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| self.damaged(column))
    }

    pub(crate) fn number<T: TryFrom<i32>>(
        self,
        column: &'static str,
        value: i32,
    ) -> Result<T, StoreError> {
        T::try_from(value).map_err(|_| self.damaged(column))
    }

    /// A number in its three columns, or the masked form when it was blanked.
    pub(crate) fn stored_number(
        self,
        keys: &Keys,
        column: SealedColumn,
        row_id: u128,
        sealed: Option<&[u8]>,
        masked: String,
    ) -> Result<StoredNumber, StoreError> {
        let Some(sealed) = sealed else { return Ok(StoredNumber::Blanked(masked)) };
        let text = self.unseal(keys, column, row_id, sealed)?;
        let number = E164::parse(&text).map_err(|_| self.damaged(column.0))?;
        Ok(StoredNumber::Full(number))
    }

    pub(crate) fn unseal(
        self,
        keys: &Keys,
        column: SealedColumn,
        row_id: u128,
        sealed: &[u8],
    ) -> Result<String, StoreError> {
        let plain = keys.unseal(column, row_id, sealed).map_err(|_| self.damaged(column.0))?;
        String::from_utf8(plain).map_err(|_| self.damaged(column.0))
    }
}

/// An unsigned number as a column holds it; limits of the API keep all of them far below.
pub(crate) fn int(value: impl TryInto<i32>) -> i32 {
    value.try_into().unwrap_or(i32::MAX)
}

/// A number's three columns.
pub(crate) struct NumberColumns {
    pub(crate) sealed: Option<Vec<u8>>,
    pub(crate) hmac: Option<Key>,
    pub(crate) masked: String,
}

impl NumberColumns {
    pub(crate) fn seal(
        keys: &Keys,
        rng: &mut ChaCha20Rng,
        column: SealedColumn,
        row_id: u128,
        number: &StoredNumber,
    ) -> Self {
        let full = number.full();
        let seal = |number: E164| keys.seal(rng, column, row_id, number.reveal().as_bytes());
        Self {
            hmac: full.map(|number| Key::cut(keys.number_hmac(&number))),
            sealed: full.map(seal),
            masked: number.to_string(),
        }
    }
}

pub(crate) fn verification_row(
    keys: &Keys,
    rng: &mut ChaCha20Rng,
    verification: &Verification,
) -> VerificationRow {
    let id = verification.verification_id;
    let mut seal = |column, target: &StoredTarget| {
        let text = match target {
            StoredTarget::Number(number) => number.full().map(|it| it.reveal().as_str().to_owned()),
            StoredTarget::Mailbox(_) => target.mailbox().map(|it| it.reveal().to_owned()),
        };
        text.map(|text| keys.seal(rng, column, id.0, text.as_bytes()))
    };
    let to_sealed = seal(VERIFICATION_TO, &verification.to);
    let also_sealed = verification.also.as_ref().and_then(|also| seal(VERIFICATION_ALSO, also));
    VerificationRow {
        verification_id: id,
        account: verification.account.clone(),
        live: verification.live,
        version: int(verification.version),
        status: verification.status.as_str().to_owned(),
        to_sealed,
        to_hmac: target_hash(keys, &verification.to),
        to_masked: verification.to.to_string(),
        purpose: verification.purpose.clone(),
        locale: verification.locale.clone(),
        reference: verification.reference.clone(),
        metadata: verification.metadata.clone(),
        session: verification.client.session.clone(),
        client_ip: verification.client.ip.map(|address| address.to_string()),
        client_device_id: verification.client.device_id.clone(),
        created_at: verification.created_at,
        expires_at: verification.expires_at,
        ended_at: verification.ended_at,
        code_length: int(verification.code_length),
        code_space: i64::try_from(verification.code_space).unwrap_or(i64::MAX),
        checks_max: int(verification.checks_max),
        checks_used: int(verification.checks_used),
        sends_max: int(verification.sends_max),
        sends_used: int(verification.sends_used),
        next_send_allowed_at: verification.next_send_allowed_at,
        template: verification.wording.template.clone(),
        web_origin: verification.wording.web_origin.clone(),
        android_app_hash: verification.wording.android_app_hash.clone(),
        own_code: verification.own_code,
        also_sealed,
        user_id: verification.user_id,
        sign_in_id: verification.sign_in_id,
        workflow: workflow::encode_planned(&verification.workflow),
        next_at: verification.next_at,
        proved: verification.proved.map(|proved| proved.as_str().to_owned()),
    }
}

pub(crate) fn verification_change(verification: &Verification) -> VerificationChange {
    VerificationChange {
        verification_id: verification.verification_id,
        version: int(verification.version),
        status: verification.status.as_str().to_owned(),
        ended_at: verification.ended_at,
        code_length: int(verification.code_length),
        code_space: i64::try_from(verification.code_space).unwrap_or(i64::MAX),
        checks_used: int(verification.checks_used),
        sends_used: int(verification.sends_used),
        next_send_allowed_at: verification.next_send_allowed_at,
        workflow: workflow::encode_planned(&verification.workflow),
        next_at: verification.next_at,
        proved: verification.proved.map(|proved| proved.as_str().to_owned()),
    }
}

pub(crate) fn step_row(
    keys: &Keys,
    rng: &mut ChaCha20Rng,
    verification: &Verification,
    step: &Step,
) -> StepRow {
    let code = step.code.as_ref();
    // A step has the digits of a code, or a number that its user is to call.
    let awaits = step.awaits.map(|number| number.reveal().to_string());
    let secret = step.secret.as_ref().map(|secret| secret.reveal().to_owned()).or(awaits);
    let row_id = secret_row_id(verification.verification_id, step.n);
    StepRow {
        verification_id: verification.verification_id,
        n: int(step.n),
        channel: step.channel.as_str().to_owned(),
        status: step.status.as_str().to_owned(),
        detail: step.detail.clone(),
        created_at: step.created_at,
        code_tail_hmac: code.map(|code| Bytes(code.tail_hmac)),
        code_number_hmac: code.and_then(|code| code.number_hmac).map(Bytes),
        code_length: code.map(|code| int(code.length)),
        code_space: code.map(|code| i64::try_from(code.space).unwrap_or(i64::MAX)),
        code_checkable_until: code.and_then(|code| code.checkable_until),
        secret_sealed: secret.map(|secret| keys.seal(rng, STEP_SECRET, row_id, secret.as_bytes())),
        dispatches: workflow::encode_dispatches(&step.dispatches),
    }
}

/// A step has no id of its own, so its secret is bound to verification and number.
fn secret_row_id(verification_id: VerificationId, n: u8) -> u128 {
    verification_id.0 ^ u128::from(n)
}

pub(crate) fn call_row(
    keys: &Keys,
    rng: &mut ChaCha20Rng,
    verification: &Verification,
    step: &Step,
    call: &Call,
) -> CallRow {
    let id = call.call_id;
    let to = NumberColumns::seal(keys, rng, CALL_TO, id.0, &verification.called());
    let dialled_sealed = call
        .dialled
        .as_ref()
        .map(|dialled| keys.seal(rng, CALL_DIALLED, id.0, dialled.reveal().as_bytes()));
    let caller_id_sealed = call.caller_id.as_ref().map(|caller_id| {
        let plain = format!("{}/{}", caller_id.code_length(), caller_id.reveal().as_str());
        keys.seal(rng, CALL_CALLER_ID, id.0, plain.as_bytes())
    });
    let change = call_change(keys, rng, call);
    CallRow {
        call_id: id,
        verification_id: verification.verification_id,
        step_n: int(step.n),
        attempt: int(call.attempt),
        account: verification.account.clone(),
        live: verification.live,
        trunk: call.trunk.as_str().to_owned(),
        to_sealed: to.sealed,
        to_masked: to.masked,
        dialled_sealed,
        caller_id_sealed,
        caller_id_masked: call.caller_id_masked.clone(),
        created_at: call.created_at,
        target: change.target,
        last_cseq: change.last_cseq,
        rang: change.rang,
        ended_at: change.ended_at,
        outcome: change.outcome,
        timeline: change.timeline,
        status: change.status,
        q850: change.q850,
        retry_after_ms: change.retry_after_ms,
        dialog_sealed: change.dialog_sealed,
    }
}

pub(crate) fn call_change(keys: &Keys, rng: &mut ChaCha20Rng, call: &Call) -> CallChange {
    let seal = |dialog: &SavedDialog| keys.seal(rng, CALL_DIALOG, call.call_id.0, dialog.reveal());
    let mut change = CallChange {
        call_id: call.call_id,
        keep_dialled: call.dialled.is_some(),
        keep_caller_id: call.caller_id.is_some(),
        target: None,
        last_cseq: 0,
        rang: false,
        ended_at: None,
        outcome: None,
        timeline: None,
        status: None,
        q850: None,
        retry_after_ms: None,
        dialog_sealed: call.dialog.as_ref().map(seal),
    };
    match &call.state {
        CallState::Up { target, last_cseq, rang } => {
            change.target = target.map(|target| target.to_string());
            change.last_cseq = int(*last_cseq);
            change.rang = *rang;
        }
        CallState::Ended(record) => {
            change.target = record.target.map(|target| target.to_string());
            change.rang = record.rang;
            change.ended_at = Some(record.ended_at);
            change.outcome = Some(record.outcome.as_str().to_owned());
            change.timeline = Some(timeline::encode(&record.timeline));
            change.status = record.status.map(int);
            change.q850 = record.q850.map(int);
            change.retry_after_ms = record
                .retry_after
                .map(|after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
        }
    }
    change
}

/// Builds the aggregate from its rows; `steps` and `calls` are those of this verification, in
/// order.
pub(crate) fn verification(
    keys: &Keys,
    row: VerificationRow,
    steps: Vec<StepRow>,
    calls: Vec<CallRow>,
) -> Result<Verification, StoreError> {
    let table = Table("verification");
    let id = row.verification_id;
    let mut steps = steps.into_iter().map(|row| step(keys, row)).collect::<Result<Vec<_>, _>>()?;
    for row in calls {
        let step = steps.iter_mut().find(|step| i32::from(step.n) == row.step_n);
        let step = Table("call").column("step_n", step)?;
        step.calls.push(call(keys, row)?);
    }
    let client_ip = row.client_ip.map(|text| text.parse()).transpose();
    let to = target(keys, VERIFICATION_TO, id.0, row.to_sealed.as_deref(), row.to_masked)?;
    let also = row.also_sealed.as_deref();
    let also = also
        .map(|sealed| target(keys, VERIFICATION_ALSO, id.0, Some(sealed), String::new()))
        .transpose()?;
    let proved = row.proved.as_deref();
    let proved = proved.map(|word| table.column("proved", Proved::from_word(word)));
    Ok(Verification {
        verification_id: id,
        account: row.account,
        live: row.live,
        version: table.number("version", row.version)?,
        status: table.column("status", VerificationStatus::from_word(&row.status))?,
        to,
        purpose: row.purpose,
        locale: row.locale,
        reference: row.reference,
        metadata: row.metadata,
        client: Client {
            session: row.session,
            ip: client_ip.map_err(|_| table.damaged("client_ip"))?,
            device_id: row.client_device_id,
        },
        created_at: row.created_at,
        expires_at: row.expires_at,
        ended_at: row.ended_at,
        code_length: table.number("code_length", row.code_length)?,
        code_space: u64::try_from(row.code_space).map_err(|_| table.damaged("code_space"))?,
        checks_max: table.number("checks_max", row.checks_max)?,
        checks_used: table.number("checks_used", row.checks_used)?,
        sends_max: table.number("sends_max", row.sends_max)?,
        sends_used: table.number("sends_used", row.sends_used)?,
        next_send_allowed_at: row.next_send_allowed_at,
        wording: Wording {
            template: row.template,
            web_origin: row.web_origin,
            android_app_hash: row.android_app_hash,
        },
        own_code: row.own_code,
        also,
        user_id: row.user_id,
        sign_in_id: row.sign_in_id,
        workflow: table.column("workflow", workflow::decode_planned(&row.workflow))?,
        next_at: row.next_at,
        proved: proved.transpose()?,
        steps,
    })
}

/// A number or a mailbox; only the latter has an @, masked or not.
fn target(
    keys: &Keys,
    column: SealedColumn,
    row_id: u128,
    sealed: Option<&[u8]>,
    masked: String,
) -> Result<StoredTarget, StoreError> {
    let table = Table("verification");
    let Some(sealed) = sealed else {
        return Ok(match masked.contains('@') {
            true => StoredTarget::Mailbox(StoredMailbox::Blanked(masked)),
            false => StoredTarget::Number(StoredNumber::Blanked(masked)),
        });
    };
    let text = table.unseal(keys, column, row_id, sealed)?;
    if text.contains('@') {
        let address = EmailAddress::parse(&text).map_err(|_| table.damaged(column.0))?;
        return Ok(address.into());
    }
    Ok(E164::parse(&text).map_err(|_| table.damaged(column.0))?.into())
}

fn step(keys: &Keys, row: StepRow) -> Result<Step, StoreError> {
    let table = Table("step");
    let n = table.number("n", row.n)?;
    let row_id = secret_row_id(row.verification_id, n);
    let channel = table.column("channel", Channel::from_word(&row.channel))?;
    let secret = row.secret_sealed.as_ref();
    let secret =
        secret.map(|sealed| table.unseal(keys, STEP_SECRET, row_id, sealed)).transpose()?;
    let damaged = || table.damaged("secret");
    let (secret, awaits) = match (secret, channel) {
        (None, _) => (None, None),
        (Some(number), Channel::IncomingCall) => {
            (None, Some(E164::parse(&number).map_err(|_| damaged())?))
        }
        (Some(digits), _) => (Some(CodeDigits::parse(&digits).map_err(|_| damaged())?), None),
    };
    let dispatches = workflow::decode_dispatches(&row.dispatches);
    let code = row.code_tail_hmac.map(|Bytes(tail_hmac)| {
        let space = table.column("code_space", row.code_space)?;
        Ok(StepCode {
            tail_hmac,
            number_hmac: row.code_number_hmac.map(|Bytes(number_hmac)| number_hmac),
            length: table.number("code_length", table.column("code_length", row.code_length)?)?,
            space: u64::try_from(space).map_err(|_| table.damaged("code_space"))?,
            checkable_until: row.code_checkable_until,
        })
    });
    Ok(Step {
        n,
        channel,
        status: table.column("status", StepStatus::from_word(&row.status))?,
        detail: row.detail,
        created_at: row.created_at,
        code: code.transpose()?,
        secret,
        awaits,
        calls: Vec::new(),
        dispatches: table.column("dispatches", dispatches)?,
    })
}

fn call(keys: &Keys, row: CallRow) -> Result<Call, StoreError> {
    Ok(Call {
        call_id: row.call_id,
        attempt: Table("call").number("attempt", row.attempt)?,
        trunk: trunk(&row)?,
        dialled: dialled(keys, &row)?,
        caller_id: caller_id(keys, &row)?,
        dialog: dialog(keys, &row)?,
        created_at: row.created_at,
        state: call_state(&row)?,
        caller_id_masked: row.caller_id_masked,
    })
}

pub(crate) fn call_view(keys: &Keys, row: CallRow) -> Result<CallView, StoreError> {
    let table = Table("call");
    let trunk = trunk(&row)?;
    let state = call_state(&row)?;
    let CallId(id) = row.call_id;
    Ok(CallView {
        call_id: row.call_id,
        verification_id: row.verification_id,
        step_n: table.number("step_n", row.step_n)?,
        account: row.account,
        live: row.live,
        attempt: table.number("attempt", row.attempt)?,
        trunk,
        to: table.stored_number(keys, CALL_TO, id, row.to_sealed.as_deref(), row.to_masked)?,
        caller_id_masked: row.caller_id_masked,
        created_at: row.created_at,
        state,
    })
}

pub(crate) fn unfinished_call(keys: &Keys, row: CallRow) -> Result<UnfinishedCall, StoreError> {
    let table = Table("call");
    Ok(UnfinishedCall {
        call_id: row.call_id,
        verification_id: row.verification_id,
        trunk: trunk(&row)?,
        dialled: table.column("dialled", dialled(keys, &row)?)?,
        caller_id: table.column("caller_id", caller_id(keys, &row)?)?,
        dialog: dialog(keys, &row)?,
        created_at: row.created_at,
        state: call_state(&row)?,
    })
}

fn trunk(row: &CallRow) -> Result<TrunkName, StoreError> {
    Table("call").column("trunk", TrunkName::parse(&row.trunk).ok())
}

fn dialled(keys: &Keys, row: &CallRow) -> Result<Option<UserPart>, StoreError> {
    let table = Table("call");
    let unseal = |sealed: &Vec<u8>| {
        let text = table.unseal(keys, CALL_DIALLED, row.call_id.0, sealed)?;
        UserPart::new(&text).map_err(|_| table.damaged("dialled"))
    };
    row.dialled_sealed.as_ref().map(unseal).transpose()
}

fn caller_id(keys: &Keys, row: &CallRow) -> Result<Option<CallerId>, StoreError> {
    let table = Table("call");
    let unseal = |sealed: &Vec<u8>| {
        let text = table.unseal(keys, CALL_CALLER_ID, row.call_id.0, sealed)?;
        let parsed = text.split_once('/').and_then(|(digits, number)| {
            let code_length = CodeLength::new(digits.parse().ok()?).ok()?;
            CallerId::new(E164::parse(number).ok()?, code_length).ok()
        });
        table.column("caller_id", parsed)
    };
    row.caller_id_sealed.as_ref().map(unseal).transpose()
}

fn dialog(keys: &Keys, row: &CallRow) -> Result<Option<SavedDialog>, StoreError> {
    let unseal = |sealed: &Vec<u8>| {
        let plain = keys.unseal(CALL_DIALOG, row.call_id.0, sealed);
        let plain = plain.map_err(|_| Table("call").damaged("dialog"))?;
        Ok(SavedDialog::new(&plain))
    };
    row.dialog_sealed.as_ref().map(unseal).transpose()
}

fn call_state(row: &CallRow) -> Result<CallState, StoreError> {
    let table = Table("call");
    let target = row.target.as_deref().map(str::parse).transpose();
    let target = target.map_err(|_| table.damaged("target"))?;
    let Some(ended_at) = row.ended_at else {
        let last_cseq = table.number("last_cseq", row.last_cseq)?;
        return Ok(CallState::Up { target, last_cseq, rang: row.rang });
    };
    let outcome = row
        .outcome
        .as_deref()
        .and_then(|word| CallOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == word));
    let number =
        |column, value: Option<i32>| value.map(|value| table.number(column, value)).transpose();
    let q850 = row.q850.map(|value| table.number("q850", value)).transpose()?;
    let retry_after = row.retry_after_ms.map(u64::try_from).transpose();
    Ok(CallState::Ended(CallRecord {
        ended_at,
        outcome: table.column("outcome", outcome)?,
        rang: row.rang,
        status: number("status", row.status)?,
        q850,
        retry_after: retry_after
            .map_err(|_| table.damaged("retry_after_ms"))?
            .map(Duration::from_millis),
        target,
        timeline: table.column("timeline", row.timeline.as_deref().and_then(timeline::decode))?,
    }))
}

/// The latest moment at which a call of these verifications can have been placed, for bounds of
/// a search by id.
pub(crate) fn last_call_possible(rows: &[VerificationRow]) -> Timestamp {
    rows.iter().map(|row| row.expires_at).max().unwrap_or(Timestamp(0)) + Duration::from_secs(3600)
}
