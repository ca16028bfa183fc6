//! Bundles as JavaScript classes. Signatures are made and checked in TypeScript, where the keys are.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::{BigInt, Either, Object};
use napi_derive::napi;
use rulake::{Bundle, Draft, Generation, LoadOptions, PublishOptions, Signature};

use crate::collection::NativeCollection;
use crate::drop_later::DropLater;
use crate::error::{Failure, Result};
use crate::job::{JobControl, run_guarded};
use crate::pool::Lane;

/// What a bundle says beyond what is in the collection; checked in TypeScript for type.
#[napi(object, object_to_js = false)]
pub struct PublishParameters {
    /// Where the data comes from.
    #[napi(ts_type = "string | undefined")]
    pub data_ref: Option<String>,
    /// Seed of upstream's rotation.
    #[napi(ts_type = "bigint | undefined")]
    pub rotation_seed: Option<BigInt>,
    /// Candidates upstream reranks.
    #[napi(ts_type = "number | undefined")]
    pub rerank_factor: Option<u32>,
    /// A label of upstream's.
    #[napi(ts_type = "string | undefined")]
    pub pii_policy: Option<String>,
    /// A label of upstream's.
    #[napi(ts_type = "string | undefined")]
    pub lineage_id: Option<String>,
    /// A label of upstream's.
    #[napi(ts_type = "string | undefined")]
    pub memory_class: Option<String>,
    /// Whether to write upstream's index.
    pub rbpx: bool,
}

/// How a bundle is loaded; checked in TypeScript for type.
#[napi(object, object_to_js = false)]
pub struct LoadParameters {
    /// Most bytes to read into memory.
    #[napi(ts_type = "number | undefined")]
    pub max_bytes: Option<f64>,
    /// Read vectors that no digest covers.
    pub allow_unverified: bool,
    /// The file with them.
    #[napi(ts_type = "string | undefined")]
    pub file: Option<String>,
}

/// A description whose witness is that of its fields.
#[napi(object, object_from_js = false)]
pub struct BundleFacts {
    /// 64 hexadecimal digits.
    pub witness: String,
    /// The text a signature is made of.
    pub signed: String,
    /// Where the data comes from.
    pub data_ref: String,
    /// Numbers in a vector.
    pub dimensions: f64,
    /// Seed of upstream's rotation.
    pub rotation_seed: BigInt,
    /// Candidates upstream reranks.
    pub rerank_factor: f64,
    /// Which state it is.
    pub generation: Either<BigInt, String>,
    /// A label of upstream's.
    pub pii_policy: Option<String>,
    /// A label of upstream's.
    pub lineage_id: Option<String>,
    /// A label of upstream's.
    pub memory_class: Option<String>,
    /// What its files hold, unless upstream published it.
    pub content: Option<BundleContent>,
    /// Who vouches for it.
    pub signature: Option<BundleSignature>,
}

/// The files of a bundle and what they hold.
#[napi(object, object_from_js = false)]
pub struct BundleContent {
    /// Name of the collection.
    pub collection: String,
    /// `cosine`, `ip` or `l2`.
    pub metric: String,
    /// Records.
    pub records: f64,
    /// Records with a vector.
    pub vectors: f64,
    /// The files.
    pub files: Vec<BundleFile>,
}

/// A file of a bundle.
#[napi(object, object_from_js = false)]
pub struct BundleFile {
    /// `vectors`, `records` or `index`.
    pub role: String,
    /// Its name in the directory.
    pub name: String,
    /// Its length.
    pub bytes: f64,
    /// Its digest.
    pub shake256: String,
}

/// A signature as the description holds it.
#[napi(object)]
pub struct BundleSignature {
    /// `ed25519`.
    pub algorithm: String,
    /// Hexadecimal digits.
    pub public_key: String,
    /// Hexadecimal digits.
    pub signature: String,
}

/// A bundle that is written but not yet in place.
#[napi]
pub struct NativeBundleDraft {
    bundle: Bundle,
    draft: DropLater<Arc<Mutex<Option<Draft>>>>,
}

/// A bundle whose description was read.
#[napi]
pub struct NativeBundle {
    bundle: Arc<Bundle>,
    dir: PathBuf,
}

/// Writes the files of a bundle.
///
/// # Errors
/// By rejection: those of [`Draft::write`].
#[napi(ts_return_type = "Promise<NativeBundleDraft>", catch_unwind)]
pub fn draft_bundle<'env>(
    env: &'env Env,
    collection: &NativeCollection,
    dir: String,
    parameters: PublishParameters,
    control: Option<&JobControl>,
) -> napi::Result<Object<'env>> {
    let collection = collection.held();
    let control = JobControl::handle(control);
    run_guarded(
        env,
        Lane::Work,
        move || {
            let options = parameters.into_options()?;
            let cancel = Some(control.cancel_flag());
            Ok(Draft::write(
                &collection,
                &PathBuf::from(dir),
                &options,
                cancel,
            )?)
        },
        |_, draft| {
            Ok(NativeBundleDraft {
                bundle: draft.bundle().clone(),
                draft: DropLater::new(Arc::new(Mutex::new(Some(draft)))),
            })
        },
    )
}

/// Reads and checks the description of a bundle.
///
/// # Errors
/// By rejection: those of [`Bundle::read`].
#[napi(ts_return_type = "Promise<NativeBundle>", catch_unwind)]
pub fn read_bundle(env: &Env, dir: String) -> napi::Result<Object<'_>> {
    let dir = PathBuf::from(dir);
    run_guarded(
        env,
        Lane::Work,
        move || {
            let bundle = Arc::new(Bundle::read(&dir)?);
            Ok(NativeBundle { bundle, dir })
        },
        |_, bundle| Ok(bundle),
    )
}

#[napi]
impl NativeBundleDraft {
    /// Its description.
    #[napi(catch_unwind)]
    pub fn facts(&self) -> BundleFacts {
        BundleFacts::from(&self.bundle)
    }

    /// Puts it in place.
    ///
    /// # Errors
    /// By rejection: those of [`Draft::commit`]; `CLOSED` if it is in place or given up.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn commit<'env>(
        &self,
        env: &'env Env,
        signature: Option<BundleSignature>,
    ) -> napi::Result<Object<'env>> {
        let draft = Arc::clone(&self.draft);
        run_guarded(
            env,
            Lane::Work,
            move || {
                let draft = take(&draft).ok_or_else(|| Failure::closed("draft"))?;
                let signature = signature.map(|signature| Signature {
                    algorithm: signature.algorithm,
                    public_key: signature.public_key,
                    signature: signature.signature,
                });
                draft.commit(signature)?;
                Ok(())
            },
            |_, ()| Ok(()),
        )
    }

    /// Removes what is written.
    ///
    /// # Errors
    /// None.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn abandon<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let draft = Arc::clone(&self.draft);
        run_guarded(
            env,
            Lane::Work,
            move || {
                drop(take(&draft));
                Ok(())
            },
            |_, ()| Ok(()),
        )
    }
}

fn take(draft: &Mutex<Option<Draft>>) -> Option<Draft> {
    draft.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[napi]
impl NativeBundle {
    /// Its description.
    #[napi(catch_unwind)]
    pub fn facts(&self) -> BundleFacts {
        BundleFacts::from(&*self.bundle)
    }

    /// Reads its files into a collection.
    ///
    /// # Errors
    /// By rejection: those of [`Bundle::load`].
    #[napi(ts_return_type = "Promise<NativeCollection>", catch_unwind)]
    pub fn load<'env>(
        &self,
        env: &'env Env,
        parameters: LoadParameters,
        control: Option<&JobControl>,
    ) -> napi::Result<Object<'env>> {
        let (bundle, dir) = (Arc::clone(&self.bundle), self.dir.clone());
        let control = JobControl::handle(control);
        run_guarded(
            env,
            Lane::Work,
            move || {
                let options = parameters.into_options();
                Ok(bundle.load(&dir, &options, Some(control.cancel_flag()))?)
            },
            |_, loaded| Ok(NativeCollection::sole(loaded.collection, loaded.lake)),
        )
    }
}

impl PublishParameters {
    fn into_options(self) -> Result<PublishOptions> {
        let defaults = PublishOptions::default();
        let rotation_seed = match self.rotation_seed.map(|seed| seed.get_u64()) {
            None => defaults.rotation_seed,
            Some((false, seed, true)) => seed,
            Some(_) => {
                let failure =
                    Failure::new("INVALID_OPTION", "rotationSeed must be from 0 to 2^64 - 1");
                return Err(failure.with("option", "rotationSeed"));
            }
        };
        Ok(PublishOptions {
            data_ref: self.data_ref,
            rotation_seed,
            rerank_factor: self.rerank_factor.unwrap_or(defaults.rerank_factor),
            pii_policy: self.pii_policy,
            lineage_id: self.lineage_id,
            memory_class: self.memory_class,
            rbpx: self.rbpx,
        })
    }
}

impl LoadParameters {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a limit saturates"
    )]
    fn into_options(self) -> LoadOptions {
        let defaults = LoadOptions::default();
        LoadOptions {
            max_bytes: self
                .max_bytes
                .map_or(defaults.max_bytes, |bytes| bytes as u64),
            allow_unverified: self.allow_unverified,
            file: self.file,
        }
    }
}

impl From<&Bundle> for BundleFacts {
    #[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
    fn from(bundle: &Bundle) -> Self {
        let content = bundle.content.as_ref().map(|content| BundleContent {
            collection: content.collection.clone(),
            metric: content.metric.clone(),
            records: content.records as f64,
            vectors: content.vectors as f64,
            files: content
                .files
                .iter()
                .map(|file| BundleFile {
                    role: file.role.name().to_owned(),
                    name: file.name.clone(),
                    bytes: file.bytes as f64,
                    shake256: file.shake256.clone(),
                })
                .collect(),
        });
        Self {
            witness: bundle.rvf_witness.clone(),
            signed: bundle.signed_text(),
            data_ref: bundle.data_ref.clone(),
            dimensions: bundle.dim as f64,
            rotation_seed: BigInt::from(bundle.rotation_seed),
            rerank_factor: bundle.rerank_factor as f64,
            generation: match &bundle.generation {
                Generation::Number(n) => Either::A(BigInt::from(*n)),
                Generation::Opaque(text) => Either::B(text.clone()),
            },
            pii_policy: bundle.pii_policy.clone(),
            lineage_id: bundle.lineage_id.clone(),
            memory_class: bundle.memory_class.clone(),
            content,
            signature: bundle.signature.clone().map(|signature| BundleSignature {
                algorithm: signature.algorithm,
                public_key: signature.public_key,
                signature: signature.signature,
            }),
        }
    }
}
