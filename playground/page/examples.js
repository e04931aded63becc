// The recipes to pick. They are files of the repository, included when the page is built.

import squad90 from "../../tests/corpus/good/squad90.obert";
import block4 from "../../stdlib_recipes/paper/30epochs_4block80_squad.obert";
import mnli97 from "../../stdlib_recipes/paper/30epochs_unstructured97_mnli.obert";
import upstream from "../../stdlib_recipes/paper/3epochs_unstructured90_mlm.obert";
import transfer from "../../stdlib_recipes/paper/8epochs_sparse_transfer_squad.obert";
import compound from "../../stdlib_recipes/compound.obert";
import quantized from "../../stdlib_recipes/starters/quantized.obert";
import quickstart from "../../stdlib_recipes/quickstart.obert";
import yaml from "../../tests/corpus/yaml/paper/30epochs_unstructured90_squad.yaml";

/** Titles and texts. */
export const EXAMPLES = [
  ["BERT-base on SQuAD, 90% sparse, written out", squad90],
  ["BERT-base on SQuAD, 80% in blocks of four", block4],
  ["BERT-base on MNLI, 97% sparse", mnli97],
  ["Upstream pruning by masked language modelling", upstream],
  ["Sparse transfer to SQuAD", transfer],
  ["Layers, blocks and INT8", compound],
  ["Quantization-aware training", quantized],
  ["The quickstart: stages and branches", quickstart],
];

/** A SparseML recipe of the paper. */
export const YAML = yaml;
