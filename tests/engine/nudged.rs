//! What the last bit of a float does to a model of whole numbers.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use obert::internals::diag::Sources;
use obert::internals::infer::simd::Isa;
use obert::internals::infer::{self, Limits, Session};
use obert::internals::language::{NoFiles, Options, compile};
use obert::internals::task::data::cache::FeatureCache;
use obert::internals::task::data::splits::{Need, ReadOptions};
use obert::internals::task::model::{BertForQuestionAnswering, Dropouts, Tokens, checkpoint};
use obert::internals::task::prepare::{self, PrepareOptions, Prepared};
use obert::internals::task::question_answering::QuestionAnswering;
use obert::internals::task::{Task, parameters};

/// What docs/inference.md says of a rounded model that is moved by a millionth, and of the runtime:
/// `OBERT_MODEL` names its folder, `OBERT_SQUAD` a folder with SQuAD files.
#[test]
#[allow(clippy::print_stdout)]
#[ignore = "needs a trained model and SQuAD, and takes minutes"]
fn the_runtime_is_as_near_to_a_rounded_model_as_the_model_is_to_itself_a_millionth_away() {
    let path =
        |name: &str| PathBuf::from(std::env::var(name).unwrap_or_else(|_| panic!("{name} names a folder")));
    let (folder, data) = (path("OBERT_MODEL"), path("OBERT_SQUAD"));
    let recipe = "edition 2026\nrecipe r { model: \"m\", data: squad(max_length: 256), batch: 16\n stage s for 1 steps { lr { 0..1 steps: 0.0 } } }";
    let schedule = compile("r.obert", recipe, &NoFiles, Options::default()).schedule.unwrap();
    let places = PrepareOptions {
        model: &schedule.model,
        model_folder: Some(&folder),
        data: &schedule.data,
        data_folder: Some(&data),
        reading: ReadOptions::default(),
        need: Need::Dev,
        limit_examples: None,
        dropout: None,
        may_have_new_head: true,
        distills: false,
        needs_labels: false,
        seed: 1,
    };
    let device = Device::flex();
    let ready: Prepared<QuestionAnswering> =
        prepare::prepare(&places, &device, &mut Sources::new(), &mut FeatureCache::disabled()).unwrap();
    let model = checkpoint::with_scales(ready.model.clone(), &folder).unwrap();
    // Another order of a sum moves a number about as much.
    let moved = |by: f32| {
        let values = parameters::read(&model, |name| name.ends_with("embeddings.LayerNorm.bias"));
        let values = values.into_iter().map(|(name, v)| (name, v.iter().map(|x| x + by).collect())).collect();
        parameters::write(model.clone(), values)
    };
    let told = |name: &str, model: &BertForQuestionAnswering| {
        let metrics = ready.task.evaluate(model, &device, &mut |_, _| ());
        println!("{name}: EM {:.2}, F1 {:.2}", metrics["em"], metrics["f1"]);
    };
    told("as it is", &model);
    for millionths in (-3..=8).filter(|m| *m != 0) {
        told(&format!("moved by {millionths}e-6"), &moved(millionths as f32 * 1e-6));
    }
    let runtime = Arc::new(infer::open(&folder, None, &mut Sources::new()).unwrap());
    let limits = Limits { sequences: 1, length: 256, threads: 2, isa: Isa::best() };
    let mut session = Session::new(runtime, limits).unwrap();
    let moved = moved(1e-6);
    let [mut by_runtime, mut by_moving] = [(0.0, 0); 2];
    let add = |sum: &mut (f64, usize), a: &[f32], b: &[f32]| {
        sum.0 += a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>();
        sum.1 += a.len();
    };
    for window in ready.task.dev.iter().take(400) {
        let tokens =
            Tokens::arrange(&[(window.window.ids.as_slice(), window.window.types.as_slice())], &device);
        let logits = |model: &BertForQuestionAnswering| -> Vec<f32> {
            model.forward(&tokens, Dropouts::NONE).into_data().try_to_vec().unwrap()
        };
        let answers =
            session.run(&[infer::Sequence { ids: &window.window.ids, types: &window.window.types }]).unwrap();
        let (start, end) = answers.answer(0);
        let bytes: Vec<f32> = start.iter().zip(end).flat_map(|(s, e)| [*s, *e]).collect();
        let own = logits(&model);
        add(&mut by_runtime, &own, &bytes);
        add(&mut by_moving, &own, &logits(&moved));
    }
    let [by_runtime, by_moving] = [by_runtime, by_moving].map(|(sum, count)| sum / count as f64);
    println!("logits are moved by {by_moving:.3} in the mean, and by {by_runtime:.3} in the runtime");
    assert!(by_runtime < 1.5 * by_moving);
}
