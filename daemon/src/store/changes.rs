//! Who waits for the next version of a verification.

use crate::ids::VerificationId;

/// Tells the versions of one verification that were committed since it was asked for.
#[derive(Debug)]
pub struct VersionWatch {
    verification_id: VerificationId,
}

impl VersionWatch {
    /// Waits until a version above `version` was committed by this process, or the store is
    /// closed. Cancel-safe. A change that another process commits is not told.
    pub async fn above(&mut self, version: u32) {
        let _ = (version, self.verification_id);
        todo!()
    }
}
