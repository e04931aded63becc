//! EM and F1 against recorded values of another implementation.

use obert::task::metric::squad;

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
