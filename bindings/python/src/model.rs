//! Models: the pipeline of the runtime.

use std::collections::BTreeMap;
use std::path::PathBuf;

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use obert::runtime::{self, Answer, Answers, Entity, Precision, Prediction};
use obert::{Error, PredictConfig};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyList};

use crate::error::raised;

/// A model with its tokenizer. Threads may share it.
#[pyclass(frozen, module = "obert._obert")]
pub struct Pipeline {
    inner: runtime::Pipeline,
}

#[pymethods]
impl Pipeline {
    #[new]
    #[pyo3(signature = (path, *, precision, threads, batch, max_length, doc_stride, max_answer_length, offline))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        precision: Option<&str>,
        threads: Option<usize>,
        batch: usize,
        max_length: Option<usize>,
        doc_stride: Option<usize>,
        max_answer_length: Option<usize>,
        offline: bool,
    ) -> PyResult<Self> {
        let mut config = PredictConfig::new(path);
        config.precision = match precision {
            None => None,
            Some("f32" | "float32") => Some(Precision::Float32),
            Some("int8") => Some(Precision::Int8),
            Some(other) => {
                let message = format!("precision is {other:?}; it is \"f32\" or \"int8\"");
                return Err(PyValueError::new_err(message));
            }
        };
        config.threads = threads;
        config.batch = batch;
        config.offline = offline;
        config.settings.max_length = max_length;
        config.settings.doc_stride = doc_stride;
        config.settings.max_answer_length = max_answer_length;
        let inner = compute(py, || runtime::Pipeline::open(&config))?;
        Ok(Pipeline { inner })
    }

    /// The name of the method that computes what the model's head gives.
    #[getter]
    fn method(&self) -> &'static str {
        self.inner.method()
    }

    /// The hidden size of the encoder.
    #[getter]
    fn dimension(&self) -> usize {
        self.inner.dimension()
    }

    /// The maximum sequence length in tokens.
    #[getter]
    fn max_length(&self) -> usize {
        self.inner.max_length()
    }

    /// The labels of a classifier.
    #[getter]
    fn labels(&self) -> Vec<String> {
        self.inner.labels().to_vec()
    }

    /// The prompts of a sentence-transformers model.
    #[getter]
    fn prompts(&self) -> BTreeMap<String, String> {
        self.inner.prompts().clone()
    }

    /// Embeddings, `[texts, dimension]`.
    fn embed<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<PyBackedStr>,
        truncate: bool,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let values = compute(py, || self.inner.embed(&texts, truncate))?;
        PyArray1::from_vec(py, values).reshape([texts.len(), self.inner.dimension()])
    }

    /// A dictionary for each text or pair.
    fn predict<'py>(
        &self,
        py: Python<'py>,
        inputs: Vec<(String, Option<String>)>,
        truncate: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let all = compute(py, || self.inner.predict(inputs, truncate))?;
        list(py, &all, |prediction, fields| match prediction {
            Prediction::Score(score) => fields.set_item("score", score),
            Prediction::Labels { labels, single } => {
                if let (true, Some((label, score))) = (single, labels.first()) {
                    fields.set_item("label", label)?;
                    fields.set_item("score", score)?;
                }
                let each = PyDict::new(py);
                labels.iter().try_for_each(|(name, probability)| each.set_item(name, probability))?;
                fields.set_item("labels", each)
            }
        })
    }

    /// The scores of documents.
    fn rerank(
        &self,
        py: Python<'_>,
        query: &str,
        documents: Vec<PyBackedStr>,
        raw: bool,
        truncate: bool,
    ) -> PyResult<Vec<f32>> {
        compute(py, || self.inner.rerank(query, &documents, raw, truncate))
    }

    /// A list of dictionaries for each text.
    fn entities<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<PyBackedStr>,
        truncate: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let all = compute(py, || self.inner.entities(&texts, truncate))?;
        let of_text = |found: &Vec<Entity>| {
            list(py, found, |entity, fields| {
                fields.set_item("label", &entity.label)?;
                fields.set_item("text", &entity.text)?;
                fields.set_item("score", entity.score)?;
                fields.set_item("start", entity.start)?;
                fields.set_item("end", entity.end)
            })
        };
        PyList::new(py, all.iter().map(of_text).collect::<PyResult<Vec<_>>>()?)
    }

    /// A dictionary for each question and context.
    fn answer<'py>(
        &self,
        py: Python<'py>,
        questions: Vec<(String, String)>,
        top: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        let all = compute(py, || self.inner.answer(questions, top))?;
        list(py, &all, |Answers { answers, no_answer }, fields| {
            match answers.first() {
                Some(best) => set_answer(best, fields)?,
                None => {
                    fields.set_item("answer", "")?;
                    fields.set_item("score", py.None())?;
                }
            }
            fields.set_item("no_answer", no_answer)?;
            if top > 1 {
                let rest = answers.get(1..).unwrap_or_default();
                fields.set_item("others", list(py, rest, set_answer)?)?;
            }
            Ok(())
        })
    }
}

fn set_answer(answer: &Answer, fields: &Bound<'_, PyDict>) -> PyResult<()> {
    fields.set_item("answer", &answer.text)?;
    fields.set_item("score", answer.score)?;
    fields.set_item("start", answer.start)?;
    fields.set_item("end", answer.end)
}

/// Computes without the GIL.
fn compute<R: Send>(py: Python<'_>, work: impl FnOnce() -> Result<R, Error> + Send) -> PyResult<R> {
    py.detach(work).map_err(|error| raised(py, &error))
}

/// A list of dictionaries.
fn list<'py, T>(
    py: Python<'py>,
    all: &[T],
    fill: impl Fn(&T, &Bound<'py, PyDict>) -> PyResult<()>,
) -> PyResult<Bound<'py, PyList>> {
    let one = |value| {
        let fields = PyDict::new(py);
        fill(value, &fields)?;
        Ok(fields)
    };
    PyList::new(py, all.iter().map(one).collect::<PyResult<Vec<_>>>()?)
}
