//! Artefacts through MLflow's proxy: put, read back, compared.
//!
//! The proxy says 200 to whatever it got, so that only what is read back counts, and the SHA-256 is ours.

use sha2::{Digest, Sha256};
use store::{Artefact, Artefacts, MOST_ARTEFACT_BYTES};

use super::{
    client::Client,
    error::{MlflowError, Result},
    limits,
    wire::Run,
};

impl Client {
    /// Makes a run hold the artefacts of a record.
    pub(super) async fn upload(
        &self,
        run: &Run,
        files: &[Artefact],
        contents: &dyn Artefacts,
    ) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let root = place(&run.info.artifact_uri)?;
        for file in files {
            let at = format!("{root}/{}", file.path);
            match self.digest(&at).await {
                Ok(found) if found == file.sha256 => continue,
                Ok(_) | Err(MlflowError::NotFound { .. }) => {}
                Err(e) => return Err(e),
            }
            let content = contents.get(&file.sha256).await?;
            self.put_bytes(&at, content).await?;
            let found = self.digest(&at).await?;
            if found != file.sha256 {
                return Err(altered(format!("run {}", run.info.run_id), file, found));
            }
        }
        Ok(())
    }

    /// SHA-256 of what is at a place.
    async fn digest(&self, at: &str) -> Result<String> {
        let mut hash = Sha256::new();
        self.get_bytes(at, |chunk| {
            hash.update(chunk);
            Ok(())
        })
        .await?;
        Ok(limits::hexadecimal(&hash.finalize()))
    }

    /// What is at a place, if it is what it should be.
    pub(super) async fn download(&self, at: &str, of: String, file: &Artefact) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.get_bytes(at, |chunk| {
            if content.len() + chunk.len() > MOST_ARTEFACT_BYTES {
                return Err(MlflowError::Answer {
                    call: format!("the artefact {at}"),
                    detail: format!("it is larger than {MOST_ARTEFACT_BYTES} bytes"),
                });
            }
            content.extend_from_slice(chunk);
            Ok(())
        })
        .await?;
        let found = limits::sha256(&content);
        if found != file.sha256 {
            return Err(altered(of, file, found));
        }
        Ok(content)
    }
}

fn altered(of: String, file: &Artefact, found: String) -> MlflowError {
    MlflowError::Altered {
        of,
        path: file.path.clone(),
        expected: file.sha256.clone(),
        found,
    }
}

/// Where the proxy has what MLflow names by a URI.
pub(super) fn place(uri: &str) -> Result<String> {
    // With two slashes it names another server.
    let behind = uri
        .strip_prefix("mlflow-artifacts:/")
        .filter(|rest| !rest.starts_with('/'));
    behind
        .map(|path| path.trim_end_matches('/').to_owned())
        .ok_or_else(|| MlflowError::Elsewhere {
            uri: uri.to_owned(),
        })
}
