//! The secret key and what is derived from it (HKDF-SHA256 with labels).
