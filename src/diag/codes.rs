//! The codes of diagnostics. A code is stable once released; its hundreds are the stage that reports it.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($name:ident = $number:literal, $title:literal;)*) => {
        /// The stable code of a kind of diagnostic, shown as `OB0201`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The number after `OB`.
            pub fn number(self) -> u16 {
                match self { $(Code::$name => $number,)* }
            }

            /// The meaning of the code, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }
        }
    };
}

codes! {
    // 00: reading recipe files
    RecipeNotReadable = 1, "a recipe file cannot be read";
    RecipeNotText = 2, "a recipe file is not UTF-8 text";
    RecipeTooLarge = 3, "a recipe file is too large";
    TooManyFindings = 4, "there are more findings than are listed";

    // 01: syntax
    UnclosedBracket = 101, "a bracket is never closed";
    MismatchedBracket = 102, "a bracket is closed by another kind";
    UnopenedBracket = 103, "a bracket closes nothing";
    UnclosedString = 104, "a string never ends";
    NestingTooDeep = 105, "nesting is too deep";
    StrayCharacter = 106, "a character that is not allowed in a recipe";
    Malformed = 107, "a statement cannot be read";
    NumberTooLarge = 108, "a number is too large";
    UnknownEscape = 109, "an unknown escape in a string";

    // 02: names
    UnknownName = 201, "an unknown name";
    UnknownVerb = 202, "an unknown verb";
    UnknownSetting = 203, "an unknown setting";
    DuplicateSetting = 204, "a setting is given twice";
    MissingSetting = 205, "a required setting is missing";
    UnknownChoice = 206, "a value is not one of the choices";
    DuplicateName = 207, "a name is declared twice";
    UnknownModule = 208, "`use` of an unknown module";
    UnknownImport = 209, "`use` of a name the module lacks";
    UseCycle = 210, "files use each other in a cycle";
    UnknownTemplate = 211, "`extends` of an unknown template";
    ExtendsCycle = 212, "templates extend each other in a cycle";
    UnknownParameter = 213, "`--set` of an unknown recipe parameter";
    ParameterWithoutValue = 214, "a recipe parameter has no value";
    ParameterOutOfRange = 215, "a recipe parameter is outside its range";
    NoRecipe = 216, "a file holds no recipe";
    SeveralRecipes = 217, "a file holds several recipes";
    UnsupportedEdition = 218, "an unknown edition";
    MisplacedStatement = 219, "a statement is in the wrong place";
    DuplicateStatement = 220, "a statement is allowed only once";
    UnusedName = 221, "a name is never used";
    UnknownStage = 222, "an unknown stage";
    RecursiveName = 223, "a name is defined by itself";
    UnknownType = 224, "an unknown type";
    NothingToDo = 225, "a stage does nothing";
    SetTwice = 226, "`--set` gives a parameter twice";

    // 03: types and units
    WrongType = 301, "a value of another type is expected";
    RatioOutOfRange = 302, "a ratio is outside 0..100%";
    TimeWithoutUnit = 303, "a time has no unit";
    RatioForTime = 304, "a ratio where a time is expected";
    NotAWholeNumber = 305, "a whole number is expected";
    OutOfRange = 306, "a number is outside its range";
    UnitMismatch = 307, "units do not agree";
    DivisionByZero = 308, "division by zero";
    StrayOperand = 309, "an unexpected word or value in a statement";
    MissingOperand = 310, "a statement lacks a part";
    RampExpected = 311, "a ramp is expected";
    UnknownShape = 312, "an unknown shape of a ramp";

    // 04: time
    WindowLeavesRun = 401, "a window leaves its stage";
    EmptyWindow = 402, "a window is empty";
    LrGap = 403, "the learning rate has a gap";
    LrOverlap = 404, "the learning rate is given twice";
    LrOutsideStage = 405, "a learning rate is outside its stage";
    MissingLr = 406, "a stage that trains has no learning rate";
    LengthMissing = 407, "a stage has no length";
    NoRecovery = 408, "pruning ends with its stage";
    TooManyEvents = 409, "a window has too many pruning events";

    // 05: selectors
    MatchesNothing = 501, "a selector matches nothing";
    CountDiffers = 502, "a selector matches another number of parameters";
    BadPattern = 503, "a name pattern cannot be parsed";
    NotPrunable = 504, "a selected parameter cannot be pruned";
    PatternDoesNotFit = 505, "a sparsity pattern does not fit a parameter's shape";

    // 06: methods
    TwoPruners = 601, "two statements prune the same parameters";
    PruneAndHold = 602, "parameters are pruned and held at the same time";
    SparsityFalls = 603, "a pruned sparsity cannot fall";
    BlockDoesNotFit = 604, "the Fisher block does not fit the pattern";
    SettingHasNoEffect = 605, "a setting has no effect";
    RankDeficient = 606, "fewer gradients than the Fisher block is wide";
    NoSuchLayer = 607, "a layer that the model does not have";
    LayersTwice = 608, "layers are chosen twice";
    FisherTooLarge = 609, "the Fisher estimate needs more memory than allowed";
    ForeignOutput = 610, "an output or a metric of another task";
    QuantizedTwice = 611, "two statements quantize the same parameters";
    PruneAndFreeze = 612, "parameters are pruned and frozen at the same time";
    SchemeWithoutSense = 613, "an invalid quantization scheme";
    NotAllowed = 614, "`allow` of a code that is not a warning or advice";
    RoundingStays = 615, "quantization does not end with its window";
    FixedUnseen = 616, "ranges are fixed before anything is observed";
    RankNeedsGradients = 617, "a measured ranking needs second-order pruning";
    LimitTooLow = 618, "a limit of sparsity lies below the sparsity itself";
    FirstLayerDiffers = 619, "a layer that cannot come first becomes the first layer";

    // 07: lints
    FirstJump = 701, "a large first sparsity is reached with one Fisher estimate";
    OffCycle = 702, "pruning events off the cycles of the learning rate";
    UnusualDamp = 703, "an unusual damp";
    NothingToHold = 704, "there are no zeros to hold";
    ZerosFill = 705, "zeros of an earlier stage are not held";
    StaleRanges = 706, "ranges are fixed before pruning ends";
    NoEdition = 707, "a file names no edition";
    ShortCycle = 708, "the last cycle of a learning rate is cut short";
    OnlyEnds = 709, "pruning events are further apart than the window is long";
    ModelNotAtHand = 710, "the selectors were not checked";
    SparsityStands = 711, "pruning events prune nothing";
    LargeRate = 712, "a learning rate is too large for a transformer";

    // 08: SparseML recipes
    YamlMalformed = 801, "a YAML file cannot be read";
    YamlTooMuch = 802, "a YAML file is nested too deep or expands too far";
    YamlSecondDocument = 803, "a YAML file holds a second document";
    YamlKeyTwice = 804, "a YAML key is given twice";
    NoFrontMatter = 805, "a Markdown file has no front matter";
    FrontMatterEnds = 806, "SparseML ends the front matter at another place";
    NoModifiers = 807, "a SparseML recipe has no modifiers";
    UnknownModifier = 808, "an unknown modifier";
    ModifierRefused = 809, "a modifier that obert does not have";
    MisplacedModifier = 810, "a modifier is where SparseML does not read it";
    UnknownField = 811, "an unknown field of a modifier";
    MissingField = 812, "a required field of a modifier is missing";
    FieldType = 813, "a field's value has the wrong type";
    FieldRange = 814, "a field's value is outside its range";
    FieldRefused = 815, "a field's value has no counterpart in obert";
    BadExpression = 816, "an `eval(…)` cannot be evaluated";
    ExpressionCycle = 817, "variables of a recipe depend on each other in a cycle";
    NotInterpolated = 818, "`eval(…)` inside a longer text is not evaluated";
    UnknownVariable = 819, "`--set` of a variable that the recipe does not have";
    NumberAsText = 820, "PyYAML reads a number as text";
    SurprisingScalar = 821, "YAML 1.1 reads a value in a surprising way";
    Dropped = 822, "a part of a SparseML recipe is left out";
    OtherwiseInSparseml = 823, "SparseML does something else than the recipe seems to say";
    Assumed = 824, "a setting that a SparseML recipe leaves out";
    RatesOverlap = 825, "two learning rates of a SparseML recipe overlap";
    BeyondTheName = 826, "a pattern also matches longer names";
    NotExportable = 827, "SparseML cannot express a part of a recipe";

    // 09: models, data and runs
    ModelNotFound = 901, "a model folder lacks a file";
    ModelNotReadable = 902, "a model file cannot be read";
    NotABert = 903, "a model is of no family that the engine knows";
    TensorMissing = 904, "a tensor is missing from the model file";
    TensorShape = 905, "a tensor has the wrong shape";
    TensorType = 906, "a tensor has an unsupported type";
    DataNotFound = 907, "a data file is missing";
    DataNotReadable = 908, "a data file cannot be read";
    DataEmpty = 909, "a data file has no training examples";
    TokenizerNotReadable = 910, "a tokenizer cannot be read";
    OutputNotUsable = 911, "the output folder cannot be used";
    DeviceUnavailable = 912, "a device is not available";
    FlagMissing = 913, "a flag is needed for this recipe";
    FlagHasNoEffect = 914, "a flag has no effect for this recipe";
    BlockNotFactored = 915, "a Fisher block cannot be factored";
    LossNotFinite = 916, "the loss is not finite";
    ExpectFailed = 917, "a metric misses what the recipe expects";
    WriteFailed = 918, "a file cannot be written";
    TeacherDiffers = 919, "the teacher does not fit the student";
    FlagValue = 920, "a flag's value is out of range";
    Stopped = 921, "a run was stopped";
    BadSetArgument = 922, "`--set` is not of the form name=value";
    NotOfThisTask = 923, "a task does not have what a statement asks for";
    ColumnMissing = 924, "a table lacks a column";
    LabelUnknown = 925, "a label that the data does not have";
    LabelsDiffer = 926, "a classifier has another number of labels";
    Regression = 927, "labels are numbers on a scale";
    OtherTask = 928, "data of an unsupported task";
    TokenizerSetting = 929, "a tokenizer has a setting that obert does not follow";
    MetricMissing = 930, "the best checkpoint is selected by a metric that is not evaluated";
    RowUnusable = 931, "a row that cannot be used";
    SplitAmbiguous = 932, "several files could be one split";
    ColumnTwice = 933, "a table has a column twice";
    FolderBusy = 935, "another run is using the folder";
    NothingToResume = 936, "there is no checkpoint to resume from";
    CheckpointNotUsable = 937, "a checkpoint cannot be used";
    RunDiffers = 938, "a run cannot be resumed as a different one";
    PastDiffers = 939, "a change touches what a run has already done";
    RunNotFound = 940, "a folder holds no run";
    RunLogNotReadable = 941, "a run's log cannot be read";
    RecordIncomplete = 942, "a part of a run's record is left out";
    RangeNotFinite = 943, "a quantized tensor has no finite range";
    NeverObserved = 944, "a range is fixed before anything was observed";
    MemoryShort = 945, "a run needs more memory than there is";
    GradientNotFinite = 946, "gradients are not finite";
    NoGradient = 947, "the loss does not depend on a parameter";
    RanksDiffer = 948, "the processes of a run differ";
    NoRanks = 949, "several processes were started where one computes";
    NotRoundable = 950, "a model that cannot be quantized";
    ConfigUnsupported = 951, "config.json asks for something that obert does not compute";
    ConfigMalformed = 952, "a key of config.json holds what no model can have";
    HeadMissing = 953, "a model was not trained for the task that it is evaluated on";
    VocabularyTooLarge = 954, "a tokenizer has more entries than its model";
    TagsUnnamed = 955, "tags are numbers without names";
    IdTwice = 956, "an id occurs twice";
    JudgementUnknown = 957, "a judgement of an unknown text";
    NotReconstructable = 958, "outputs to reconstruct are not those of a linear layer";
    PackedForeign = 960, "a file is no packed model";
    PackedTruncated = 961, "a packed model is truncated";
    PackedDamaged = 962, "a packed model is damaged";
    PackedContradicts = 963, "a packed model contradicts itself";
    PackedUnsupported = 964, "a model that the runtime cannot run";
    QuantizationNotReadable = 965, "scales of a quantized model cannot be used";
    CannotListen = 966, "a server cannot listen on an address";
    ResourcesRefused = 967, "the system gives no more threads or open files";
    InputRefused = 968, "an input that a model cannot process";
    OtherHead = 969, "a model's head does not support the called method";
    ModelUnknown = 970, "the hub has no such model";
    ModelRefused = 971, "the hub does not give a model without permission";
    ModelOffline = 972, "a model is not on this machine, and the network is not used";
    HubUnreachable = 973, "the hub cannot be reached";
    DownloadIncomplete = 974, "a download is not complete";
    ParquetNotReadable = 975, "a Parquet file cannot be read";
    ParquetColumn = 976, "a column of a Parquet file holds something else";

    // 98: one-shot pruning and sweeps
    UnknownAxis = 980, "a grid has an axis that `obs` does not have";
    GridMalformed = 981, "a list of values cannot be read";
    LevelOutOfRange = 982, "a sparsity given with `--at` is outside 0..100%";
    GridTwice = 983, "an axis or a value is given twice";
    NothingToPrune = 984, "a recipe has no `prune` statement to try";
    NeedsTraining = 985, "a criterion needs training";
    StartsUntrained = 986, "a recipe starts from an untrained model";
    PointWithoutSense = 987, "a point of a grid is invalid";
    NotWritable = 988, "the best setting cannot be written back";
    LayersComeFirst = 989, "layers are dropped before a model is pruned";

    // 99: exports
    ExportUnsupported = 990, "a model that a format cannot hold";
    NotQuantized = 991, "a model has no scales";
    ExportDiffers = 992, "an export's outputs differ from its model's";
    ExportNotReadable = 993, "an exported file contradicts itself";
    ExportTooLarge = 994, "a model is too large for a format";
    BitsWidened = 995, "weights are widened to the bits of a format";
    PartsLeftOut = 996, "a format cannot hold some scales";
    QualityDropped = 997, "an export is worse than its model by more than the limit";
}

impl Code {
    /// The code with a name such as `OB0201`.
    pub fn named(name: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.to_string().eq_ignore_ascii_case(name))
    }

    /// Whether diagnostics of this code are warnings or advice, which `allow` silences.
    pub fn is_lint(self) -> bool {
        let among_errors = [Code::UnusedName, Code::NoRecovery, Code::RankDeficient];
        (700..800).contains(&self.number()) || among_errors.contains(&self)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OB{:04}", self.number())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn numbers_are_unique_and_rise() {
        let numbers: Vec<u16> = Code::ALL.iter().map(|c| c.number()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert_eq!(Code::Malformed.to_string(), "OB0107");
    }
}
