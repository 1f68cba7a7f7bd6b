//! Implements the protocol's statistics extension. The extension's specification is
//! `docs/protocol/extension_statistics.md` in <https://github.com/triton-inference-server/server>.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::App;
use super::problem::Problem;
use super::target::Target;
use crate::ModelName;
use crate::metrics::TotalTime;
use crate::status::Loaded;

#[derive(Serialize)]
pub(super) struct Statistics {
    model_stats: Vec<ModelStatistics>,
}

/// The statistics of one loaded version.
#[derive(Serialize)]
struct ModelStatistics {
    name: ModelName,
    version: String,
    last_inference: u64,
    inference_count: u64,
    execution_count: u64,
    inference_stats: InferenceStatistics,
    batch_stats: Vec<BatchStatistics>,
}

#[derive(Serialize)]
struct InferenceStatistics {
    success: DurationStatistic,
    fail: DurationStatistic,
    queue: DurationStatistic,
    #[serde(flatten)]
    compute: ComputeStatistics,
}

/// The statistics of one batch size. The server runs each request by itself, which is size 1.
#[derive(Serialize)]
struct BatchStatistics {
    batch_size: u64,
    #[serde(flatten)]
    compute: ComputeStatistics,
}

#[derive(Clone, Copy, Serialize)]
struct ComputeStatistics {
    compute_input: DurationStatistic,
    compute_infer: DurationStatistic,
    compute_output: DurationStatistic,
}

#[derive(Clone, Copy, Serialize)]
struct DurationStatistic {
    count: u64,
    ns: u64,
}

/// Describes all loaded versions of all models.
pub(super) async fn all(State(app): State<App>) -> Json<Statistics> {
    let mut model_stats = Vec::new();
    for predictor in app.registry.predictors() {
        let loaded = predictor.loaded().into_iter();
        model_stats.extend(loaded.map(|loaded| of_version(&predictor.model, &loaded)));
    }
    Json(Statistics { model_stats })
}

/// Describes the requested version of a model. Describes all loaded versions if the request names
/// no version.
pub(super) async fn model(target: Target) -> Result<Json<Statistics>, Problem> {
    let Target { predictor, version } = target;
    let serving = predictor
        .serving(version)
        .map_err(|failure| Problem::of_model(failure, &predictor.model))?;
    let versions = match version {
        Some(_) => vec![serving.loaded],
        None => predictor.loaded(),
    };
    let versions = versions.iter();
    Ok(Json(Statistics {
        model_stats: versions
            .map(|loaded| of_version(&predictor.model, loaded))
            .collect(),
    }))
}

fn of_version(model: &ModelName, loaded: &Loaded) -> ModelStatistics {
    let statistics = &loaded.statistics;
    let compute = ComputeStatistics {
        compute_input: (&statistics.decoding).into(),
        compute_infer: (&statistics.run).into(),
        compute_output: (&statistics.encoding).into(),
    };
    let batch = BatchStatistics {
        batch_size: 1,
        compute,
    };
    let executions = statistics.run.count();
    ModelStatistics {
        name: model.clone(),
        version: loaded.version().to_string(),
        last_inference: statistics.last_request(),
        inference_count: statistics.success.count(),
        execution_count: executions,
        inference_stats: InferenceStatistics {
            success: (&statistics.success).into(),
            fail: (&statistics.fail).into(),
            queue: (&statistics.queue).into(),
            compute,
        },
        batch_stats: (executions > 0).then_some(batch).into_iter().collect(),
    }
}

impl From<&TotalTime> for DurationStatistic {
    fn from(time: &TotalTime) -> Self {
        Self {
            count: time.count(),
            ns: time.nanoseconds(),
        }
    }
}
