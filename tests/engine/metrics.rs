//! EM and F1 against recorded values of another implementation.

use obert::internals::task::metric::squad;

use super::golden::cases;

#[test]
fn em_and_f1_equal_the_recorded_ones() {
    let (_, list) = cases("squad_metric").into_iter().next().unwrap();
    for case in list.as_array().unwrap() {
        let prediction = case["prediction"].as_str().unwrap();
        let references: Vec<&str> =
            case["references"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
        let (em, f1) = squad::score([(prediction, references.clone())].into_iter());
        assert!(
            (em - case["em"].as_f64().unwrap()).abs() < 1e-3,
            "EM of {prediction:?} {references:?}: {em}"
        );
        assert!(
            (f1 - case["f1"].as_f64().unwrap()).abs() < 1e-3,
            "F1 of {prediction:?} {references:?}: {f1}"
        );
    }
}

#[test]
fn em_and_f1_with_unanswerable_questions_equal_those_of_the_official_script() {
    let (_, list) = cases("squad_v2_metric").into_iter().next().unwrap();
    for case in list.as_array().unwrap() {
        let pairs: Vec<(squad::Prediction, Vec<String>)> = case["questions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|q| {
                let (text, no_answer) = (q["text"].as_str().unwrap(), q["no_answer"].as_f64().unwrap());
                let prediction = squad::Prediction { text: text.to_owned(), no_answer };
                (prediction, serde_json::from_value(q["answers"].clone()).unwrap())
            })
            .collect();
        let metrics = squad::score_v2(&pairs);
        let recorded = case["metrics"].as_object().unwrap();
        assert_eq!(metrics.len(), recorded.len());
        for (name, expected) in recorded {
            let (value, expected) = (metrics[name], expected.as_f64().unwrap());
            assert!((value - expected).abs() < 1e-9, "{name}: {value} is not {expected}");
        }
    }
}
