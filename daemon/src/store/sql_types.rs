//! Our types as both databases know them: one binding, two encodings.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Type};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::ids::{
    AuditId, CallId, EventId, LetterId, MessageId, RedirectId, SignInId, UserId, VerificationId,
};

/// `timestamptz` on Postgres, milliseconds on SQLite.
impl Type<Postgres> for Timestamp {
    fn type_info() -> PgTypeInfo {
        <OffsetDateTime as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for Timestamp {
    fn array_type_info() -> PgTypeInfo {
        <OffsetDateTime as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <OffsetDateTime as Encode<Postgres>>::encode(OffsetDateTime::from(*self), buffer)
    }
}

impl<'r> Decode<'r, Postgres> for Timestamp {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        <OffsetDateTime as Decode<Postgres>>::decode(value).map(Self::from)
    }
}

impl Type<Sqlite> for Timestamp {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }

    fn compatible(found: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(found)
    }
}

impl Encode<'_, Sqlite> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<Sqlite>>::encode(self.as_millis(), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for Timestamp {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        <i64 as Decode<Sqlite>>::decode(value).map(Self)
    }
}

/// `uuid` on Postgres, a blob of 16 bytes on SQLite.
macro_rules! id_type {
    ($name:ident) => {
        impl Type<Postgres> for $name {
            fn type_info() -> PgTypeInfo {
                <Uuid as Type<Postgres>>::type_info()
            }
        }

        impl PgHasArrayType for $name {
            fn array_type_info() -> PgTypeInfo {
                <Uuid as PgHasArrayType>::array_type_info()
            }
        }

        impl Encode<'_, Postgres> for $name {
            fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
                <Uuid as Encode<Postgres>>::encode(Uuid::from(*self), buffer)
            }
        }

        impl<'r> Decode<'r, Postgres> for $name {
            fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
                <Uuid as Decode<Postgres>>::decode(value).map(Self::from)
            }
        }

        impl Type<Sqlite> for $name {
            fn type_info() -> SqliteTypeInfo {
                <Vec<u8> as Type<Sqlite>>::type_info()
            }
        }

        impl Encode<'_, Sqlite> for $name {
            fn encode_by_ref(
                &self,
                buffer: &mut SqliteArgumentsBuffer,
            ) -> Result<IsNull, BoxDynError> {
                <Vec<u8> as Encode<Sqlite>>::encode(self.0.to_be_bytes().to_vec(), buffer)
            }
        }

        impl<'r> Decode<'r, Sqlite> for $name {
            fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
                let bytes = <&[u8] as Decode<Sqlite>>::decode(value)?;
                Ok(Self(u128::from_be_bytes(bytes.try_into()?)))
            }
        }
    };
}

id_type!(VerificationId);
id_type!(CallId);
id_type!(MessageId);
id_type!(EventId);
id_type!(UserId);
id_type!(SignInId);
id_type!(RedirectId);
id_type!(LetterId);
id_type!(AuditId);

/// Bytes of a known number: `bytea` on Postgres, a blob on SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bytes<const N: usize>(pub(crate) [u8; N]);

/// An HMAC that is searched for, cut to 128 bits: indexes over it are the larger part of what a
/// create writes.
pub(crate) type Key = Bytes<16>;

impl Key {
    pub(crate) fn cut(hmac: [u8; 32]) -> Self {
        Self(std::array::from_fn(|place| hmac[place]))
    }

    /// Keys with the same `near` stand side by side, those with the same `far` apart.
    pub(crate) fn beside(near: [u8; 32], far: [u8; 32]) -> Self {
        Self(std::array::from_fn(|place| if place < 12 { near[place] } else { far[place] }))
    }

    /// As a number, where a seal wants a row's id.
    pub(crate) fn row_id(self) -> u128 {
        u128::from_be_bytes(self.0)
    }
}

impl<const N: usize> Type<Postgres> for Bytes<N> {
    fn type_info() -> PgTypeInfo {
        <Vec<u8> as Type<Postgres>>::type_info()
    }
}

impl<const N: usize> PgHasArrayType for Bytes<N> {
    fn array_type_info() -> PgTypeInfo {
        <Vec<u8> as PgHasArrayType>::array_type_info()
    }
}

impl<const N: usize> Encode<'_, Postgres> for Bytes<N> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&[u8] as Encode<Postgres>>::encode(self.0.as_slice(), buffer)
    }
}

impl<'r, const N: usize> Decode<'r, Postgres> for Bytes<N> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        <&[u8] as Decode<Postgres>>::decode(value)?.try_into().map(Self).map_err(Into::into)
    }
}

impl<const N: usize> Type<Sqlite> for Bytes<N> {
    fn type_info() -> SqliteTypeInfo {
        <Vec<u8> as Type<Sqlite>>::type_info()
    }
}

impl<const N: usize> Encode<'_, Sqlite> for Bytes<N> {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <Vec<u8> as Encode<Sqlite>>::encode(self.0.to_vec(), buffer)
    }
}

impl<'r, const N: usize> Decode<'r, Sqlite> for Bytes<N> {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        <&[u8] as Decode<Sqlite>>::decode(value)?.try_into().map(Self).map_err(Into::into)
    }
}

/// Keys to look up: an array on Postgres (`= any($1)`), on SQLite a JSON array of hexadecimal
/// texts (`in (select unhex(value) from json_each(?1))`).
#[derive(Clone, Debug)]
pub(crate) struct KeyList<T>(pub(crate) Vec<T>);

/// The bytes that a key is compared by.
pub(crate) trait KeyBytes {
    /// In the order in which they sort.
    fn key_bytes(&self) -> &[u8];
}

impl KeyBytes for Key {
    fn key_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An id as it is listed in a [`KeyList`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IdBytes(pub(crate) [u8; 16]);

impl IdBytes {
    pub(crate) fn new(id: u128) -> Self {
        Self(id.to_be_bytes())
    }
}

impl KeyBytes for IdBytes {
    fn key_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Type<Postgres> for IdBytes {
    fn type_info() -> PgTypeInfo {
        <Uuid as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for IdBytes {
    fn array_type_info() -> PgTypeInfo {
        <Uuid as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for IdBytes {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <Uuid as Encode<Postgres>>::encode(Uuid::from_bytes(self.0), buffer)
    }
}

impl<T: PgHasArrayType> Type<Postgres> for KeyList<T> {
    fn type_info() -> PgTypeInfo {
        T::array_type_info()
    }
}

impl<'q, T> Encode<'q, Postgres> for KeyList<T>
where
    T: PgHasArrayType + Type<Postgres> + for<'a> Encode<'a, Postgres>,
{
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&[T] as Encode<'_, Postgres>>::encode(self.0.as_slice(), buffer)
    }
}

impl<T> Type<Sqlite> for KeyList<T> {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl<T: KeyBytes> Encode<'_, Sqlite> for KeyList<T> {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut json = String::with_capacity(2 + self.0.len() * 67);
        json.push('[');
        for (place, key) in self.0.iter().enumerate() {
            json.push_str(if place == 0 { "\"" } else { ",\"" });
            for byte in key.key_bytes() {
                json.push(char::from(DIGITS[usize::from(byte >> 4)]));
                json.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
            json.push('"');
        }
        json.push(']');
        <String as Encode<Sqlite>>::encode(json, buffer)
    }
}
