//! Generated reading comprehension in the format of SQuAD, for examples and tests without a data set.
//!
//! A context states half a dozen facts about invented people; a question asks for one of them in other words. Several
//! facts of a context have answers of the same kind (four kinds of facts name a town, three a person, two a day), so
//! that no question can be answered without the context. Metrics on it say nothing about other data.

use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::squad::{Answer, Question, Questions};

const PEOPLE: [&str; 40] = [
    "Ada", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Karin", "Leo", "Mara",
    "Nils", "Olga", "Paul", "Rosa", "Simon", "Tilda", "Viktor", "Wanda", "Xaver", "Yara", "Zeno", "Anton",
    "Berta", "Carl", "Doris", "Emil", "Frida", "Georg", "Helga", "Ivan", "Judith", "Kurt", "Lotte", "Max",
    "Nora", "Otto", "Petra",
];
const PLACES: [&str; 24] = [
    "Aldham",
    "Berwick",
    "Corby",
    "Dunmore",
    "Elton",
    "Fairford",
    "Glenham",
    "Harwood",
    "Inverley",
    "Jarrow",
    "Kelso",
    "Lowick",
    "New Marston",
    "Norwood",
    "Old Oakham",
    "Penrith",
    "Quorn",
    "Redhill",
    "South Selby",
    "Thirsk",
    "Upton",
    "Varley",
    "West Whitby",
    "Yarm",
];
const JOBS: [&str; 20] = [
    "baker",
    "carpenter",
    "dentist",
    "driver",
    "farmer",
    "gardener",
    "judge",
    "lawyer",
    "librarian",
    "mason",
    "nurse",
    "painter",
    "pilot",
    "plumber",
    "potter",
    "sailor",
    "surgeon",
    "tailor",
    "teacher",
    "weaver",
];
const COLOURS: [&str; 10] =
    ["black", "blue", "brown", "green", "grey", "orange", "purple", "red", "white", "yellow"];
const THINGS: [&str; 20] = [
    "basket", "bell", "bicycle", "boat", "book", "bottle", "chair", "clock", "coat", "drum", "flute",
    "hammer", "hat", "kite", "lamp", "mirror", "piano", "table", "tent", "violin",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const ANIMALS: [&str; 10] =
    ["cat", "dog", "goat", "goose", "hamster", "horse", "parrot", "pony", "rabbit", "turtle"];
const PETS: [&str; 16] = [
    "Biscuit", "Cocoa", "Daisy", "Duke", "Fluffy", "Ginger", "Lucky", "Muffin", "Nutmeg", "Pepper", "Pickle",
    "Pumpkin", "Rusty", "Shadow", "Sunny", "Waffle",
];
const FOODS: [&str; 16] = [
    "apple pie",
    "beans",
    "cheese",
    "curry",
    "dumplings",
    "fish soup",
    "honey",
    "lentils",
    "mushrooms",
    "noodles",
    "olives",
    "pancakes",
    "plum cake",
    "rice",
    "spinach",
    "tomato salad",
];

/// A sentence with its answer and two questions about it.
struct Fact {
    sentence: String,
    answer: String,
    questions: [String; 2],
}

/// Generates training and dev questions, each with a context of its own.
pub fn generate(train: usize, dev: usize, seed: u64) -> Questions {
    Questions { train: questions(train, seed, 0), dev: questions(dev, seed, 1) }
}

/// A vocabulary with all words of the generated texts, and single letters for other words.
pub fn vocabulary() -> Vec<String> {
    let mut words: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].iter().map(|w| (*w).to_owned()).collect();
    let mut add = |text: &str| {
        for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
            if !words.iter().any(|w| w == word) {
                words.push(word.to_owned());
            }
        }
    };
    let lists: [&[&str]; 9] = [&PEOPLE, &PLACES, &JOBS, &COLOURS, &THINGS, &DAYS, &ANIMALS, &PETS, &FOODS];
    lists.into_iter().flatten().for_each(|text| add(text));
    // The sentences' own words, from one of each kind.
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for kind in 0..KINDS {
        let fact = fact(kind, "Ada", &mut rng);
        add(&fact.sentence);
        fact.questions.iter().for_each(|question| add(question));
    }
    for mark in [".", ",", "?", "'"] {
        words.push(mark.to_owned());
    }
    for letter in ('a'..='z').chain('0'..='9') {
        if !words.iter().any(|w| *w == letter.to_string()) {
            words.push(letter.to_string());
        }
        words.push(format!("##{letter}"));
    }
    words
}

fn questions(count: usize, seed: u64, half: u64) -> Vec<Question> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(half);
    (0..count).map(|i| question(&format!("builtin-{half}-{i}"), &mut rng)).collect()
}

fn question(id: &str, rng: &mut ChaCha8Rng) -> Question {
    let people: Vec<&str> = PEOPLE.sample(rng, 3).copied().collect();
    let mut kinds: Vec<usize> = (0..KINDS).collect();
    kinds.shuffle(rng);
    let facts: Vec<Fact> = kinds[..FACTS]
        .iter()
        .map(|kind| fact(*kind, people[rng.random_range(0..people.len())], rng))
        .collect();
    let chosen = rng.random_range(0..facts.len());
    let mut context = String::new();
    let mut begins = 0;
    for (i, fact) in facts.iter().enumerate() {
        if !context.is_empty() {
            context.push(' ');
        }
        if i == chosen {
            begins = context.len();
        }
        context.push_str(&fact.sentence);
    }
    let fact = &facts[chosen];
    let question = fact.questions[rng.random_range(0..fact.questions.len())].clone();
    // invariant: every answer is a part of its own sentence.
    let start = begins + fact.sentence.rfind(&fact.answer).expect("the answer stands in its sentence");
    Question {
        id: id.to_owned(),
        question,
        context: context.into(),
        answers: vec![Answer { text: fact.answer.clone(), start }],
    }
}

/// The number of kinds of facts, and of facts in a context.
const KINDS: usize = 12;
const FACTS: usize = 6;

fn fact(kind: usize, person: &str, rng: &mut ChaCha8Rng) -> Fact {
    let mut pick = |list: &[&'static str]| -> &'static str { list.choose(rng).copied().unwrap_or("") };
    let (place, day) = (pick(&PLACES), pick(&DAYS));
    let other = pick(&PEOPLE);
    // The other person is never the same one.
    let other = if other == person {
        PEOPLE[(PEOPLE.iter().position(|p| *p == other).unwrap_or(0) + 1) % PEOPLE.len()]
    } else {
        other
    };
    let thing = format!("{} {}", pick(&COLOURS), pick(&THINGS));
    let (job, food, animal, pet) = (pick(&JOBS), pick(&FOODS), pick(&ANIMALS), pick(&PETS));
    let p = person;
    let (sentence, answer, questions) = match kind {
        0 => (
            format!("{p} lives in {place}."),
            place,
            [format!("Where does {p} live?"), format!("In which town is the home of {p}?")],
        ),
        1 => (
            format!("{p} was born in {place}."),
            place,
            [format!("Where was {p} born?"), format!("What is the birthplace of {p}?")],
        ),
        2 => (
            format!("Last year {p} travelled to {place}."),
            place,
            [format!("Where did {p} travel?"), format!("Which town did {p} visit last year?")],
        ),
        3 => (
            format!("The office of {p} is in {place}."),
            place,
            [format!("Where is the office of {p}?"), format!("In which town does {p} go to the office?")],
        ),
        4 => (
            format!("{p} works as a {job}."),
            job,
            [format!("What is the job of {p}?"), format!("What does {p} work as?")],
        ),
        5 => (
            format!("For the garden {p} bought a {thing}."),
            thing.as_str(),
            [format!("What did {p} buy?"), "What was bought for the garden?".to_owned()],
        ),
        6 => (
            format!("{p} goes shopping on {day}."),
            day,
            [format!("When does {p} go shopping?"), format!("What is the shopping day of {p}?")],
        ),
        7 => (
            format!("The birthday of {p} was on {day}."),
            day,
            [format!("When was the birthday of {p}?"), format!("On which day did {p} turn one year older?")],
        ),
        8 => (
            format!("{p} has a {animal} called {pet}."),
            pet,
            [format!("What is the {animal} of {p} called?"), format!("What is the name of the pet of {p}?")],
        ),
        9 => (
            format!("{p} likes to eat {food}."),
            food,
            [format!("What does {p} like to eat?"), format!("Which food does {p} prefer?")],
        ),
        10 => (
            format!("{p} is married to {other}."),
            other,
            [format!("Who is married to {p}?"), format!("Who is the spouse of {p}?")],
        ),
        _ => (
            format!("{p} learned to swim from {other}."),
            other,
            [format!("Who taught {p} to swim?"), format!("From whom did {p} learn to swim?")],
        ),
    };
    Fact { answer: answer.to_owned(), sentence, questions }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Tokenizer;

    #[test]
    fn the_same_seed_gives_the_same_questions_and_the_halves_differ() {
        let (a, b) = (generate(20, 20, 7), generate(20, 20, 7));
        assert_eq!(a.train, b.train);
        assert!(a.train.iter().all(|q| a.dev.iter().all(|d| d.context != q.context)));
        assert_ne!(a.train, generate(20, 20, 8).train);
    }

    #[test]
    fn every_answer_stands_where_it_says_and_no_question_tells_it() {
        for q in generate(500, 0, 1).train {
            let answer = &q.answers[0];
            assert!(q.context[answer.start..].starts_with(&answer.text));
            assert!(!q.answers[0].text.is_empty());
            if !PEOPLE.contains(&answer.text.as_str()) {
                assert!(!q.question.contains(&answer.text), "{} {}", q.question, answer.text);
            }
        }
    }

    #[test]
    fn the_vocabulary_knows_every_word() {
        let words = vocabulary();
        let unknown = words.iter().position(|w| w == "[UNK]").unwrap() as u32;
        let tokenizer = Tokenizer::from_vocabulary(words, true).unwrap();
        for q in generate(200, 0, 3).train {
            let tokens = tokenizer.encode(&format!("{} {}", q.question, q.context)).unwrap();
            assert!(!tokens.ids.contains(&unknown));
        }
        assert!(!tokenizer.encode("Zyx").unwrap().ids.contains(&unknown), "other words are spelt");
    }
}
