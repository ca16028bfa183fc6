//! What the benchmark asks for.

use std::error::Error;
use std::fs;

use serde_json::Value;

pub enum Step {
    Build,
    Search,
    Overhead,
}

/// The fields of a request that this peer needs.
pub struct Request {
    pub step: Step,
    pub base: String,
    pub queries: String,
    pub truth: String,
    pub truth_depth: usize,
    pub dimensions: usize,
    pub k: usize,
    pub index: String,
    pub result: String,
    pub rounds: usize,
    pub seconds: f64,
    pub query_count: usize,
    /// Settings, one a point of the curve.
    points: Vec<Value>,
}

impl Request {
    /// Reads the file that the program's only argument names.
    pub fn from_arguments() -> Result<Self, Box<dyn Error>> {
        let file = std::env::args()
            .nth(1)
            .ok_or("usage: <program> <request.json>")?;
        let json: Value = serde_json::from_slice(&fs::read(file)?)?;
        let text = |name: &str| {
            json[name]
                .as_str()
                .map(str::to_owned)
                .ok_or(format!("the request has no {name}"))
        };
        let number = |name: &str| {
            json[name]
                .as_f64()
                .ok_or(format!("the request has no {name}"))
        };
        let points = json["points"]
            .as_array()
            .ok_or("the request has no points")?;
        Ok(Self {
            step: match text("step")?.as_str() {
                "build" => Step::Build,
                "search" => Step::Search,
                "overhead" => Step::Overhead,
                other => return Err(format!("unknown step '{other}'").into()),
            },
            base: text("base")?,
            queries: text("queries")?,
            truth: text("truth")?,
            truth_depth: number("truthDepth")? as usize,
            dimensions: number("dimensions")? as usize,
            k: number("k")? as usize,
            index: text("index")?,
            result: text("result")?,
            rounds: number("rounds")? as usize,
            seconds: number("seconds")?,
            query_count: number("queryCount")? as usize,
            points: points.clone(),
        })
    }

    /// `rerankFactor` of each point.
    pub fn rerank_factors(&self) -> Result<Vec<usize>, Box<dyn Error>> {
        self.points
            .iter()
            .map(|point| point["rerankFactor"].as_u64().map(|factor| factor as usize))
            .collect::<Option<_>>()
            .ok_or("a point has no rerankFactor".into())
    }
}
