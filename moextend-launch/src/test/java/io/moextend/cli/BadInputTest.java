package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is the user's to mend ends with exit code 2 and one line that says what and where. */
class BadInputTest {
  @TempDir Path folder;

  private Workspace work;

  @BeforeEach
  void makeWorkspace() {
    work = new Workspace(folder).startFrom("vision_align").configured();
  }

  private static void refused(Workspace.Outcome outcome, String... named) {
    assertThat(outcome.err()).startsWith("moextend: ").contains(named).doesNotContain("\tat ");
    assertThat(outcome.err().strip().lines()).hasSize(1);
    assertThat(outcome.code()).isEqualTo(2);
  }

  @Test
  void aGoodRunIsNotRefused() {
    assertThat(work.train("alignment").err()).isEmpty();
    assertThat(work.output().resolve("model/model.safetensors")).exists();
  }

  @ParameterizedTest
  @CsvSource({
    "--nonsense, --nonsense",
    "training.nonsense=1, training.nonsense",
    "training.backend=abacus, abacus",
    "training.dtype=f8, training.dtype",
    "training.max_steps=many, training.max_steps",
    "training.threads=0, training.threads",
    "training.backend=nd4j training.dtype=bf16, BF16",
    "optimizer.learning_rate=, optimizer.learning_rate",
    "optimizer.lr_scheduler_type=steep, steep",
    "data.train_files=[], data.train_files",
    "data.max_length=1, data.max_length",
    "data.image_root=nowhere, nowhere",
    "data.train_files=[nowhere.json], nowhere.json",
    "model.base=nowhere, nowhere",
    "model.tokenizer=nowhere, nowhere",
    "model.delta=nowhere, nowhere",
    "model.vision_tower=nowhere, model.vision_tower",
    "evaluation.eval_steps=1, evaluation.eval_steps",
    "checkpoints.resume_from_checkpoint=nowhere, nowhere",
  })
  void aWrongSettingIsNamed(String settings, String named) {
    refused(work.train("alignment", settings.split(" ")), named);
  }

  @Test
  void anUnknownStageIsNamedWithThoseThatAreKnown() {
    refused(work.train("polish"), "polish", "alignment, extension, finetune");
  }

  @Test
  void anUnknownFieldOfTheConfigurationIsNamedWithTheNearest() {
    Workspace.change(work.config(), "learning_rate", "learning_rat");
    refused(
        work.train("alignment"),
        "run.yaml",
        "optimizer.learning_rat",
        "did you mean learning_rate");
  }

  @Test
  void aMissingFieldOfTheConfigurationIsNamed() {
    Workspace.change(work.config(), "learning_rate: 1.0e-2", "");
    refused(work.train("alignment"), "run.yaml", "optimizer.learning_rate");
  }

  @Test
  void aConfigurationThatIsNoYamlIsNamed() {
    Workspace.write(work.config(), "model: {base: [");
    refused(work.train("alignment"), "run.yaml");
  }

  @Test
  void aMissingConfigurationIsNamed() throws IOException {
    Files.delete(work.config());
    refused(work.train("alignment"), "run.yaml");
  }

  @ParameterizedTest
  @CsvSource({
    "'\"hidden_size\": 32,', '', hidden_size",
    "'\"hidden_size\": 32', '\"hidden_size\": \"wide\"', hidden_size",
    "'\"hidden_size\": 32', '\"hidden_size\": 64', embed_tokens",
    "'\"num_hidden_layers\": 3', '\"num_hidden_layers\": 2', layers.2",
    "'\"model_type\": \"mixtral\"', '\"model_type\": \"mamba\"', mamba",
    "'\"num_hidden_layers\": 3', '\"num_hidden_layers\": 3e9', num_hidden_layers",
    "'\"vocab_size\": 480', '\"vocab_size\": 48000000', embed_tokens",
    "'\"num_attention_heads\": 4', '\"num_attention_heads\": 0', num_attention_heads",
    "'\"num_attention_heads\": 4', '\"num_attention_heads\": 5', num_attention_heads",
    "'\"patch_size\": 4', '\"patch_size\": 5', patch_embedding",
  })
  void aWrongFieldOfConfigJsonIsNamed(String from, String to, String named) {
    Path config = work.base().resolve("config.json");
    Workspace.change(config, from, to);
    refused(work.train("alignment"), named);
  }

  @Test
  void aMissingConfigJsonIsNamed() throws IOException {
    Files.delete(work.base().resolve("config.json"));
    refused(work.train("alignment"), "config.json");
  }

  @Test
  void aMissingTokenizerIsNamed() throws IOException {
    Files.delete(work.base().resolve("tokenizer.json"));
    refused(work.train("alignment"), "tokenizer.json");
  }

  @Test
  void aBrokenTokenizerIsNamed() {
    Workspace.write(work.base().resolve("tokenizer.json"), "{}");
    refused(work.train("alignment"), "tokenizer.json");
  }

  @Test
  void aBrokenPreprocessorFileIsNamed() {
    Workspace.write(work.base().resolve("preprocessor_config.json"), "{\"size\": \"large\"}");
    refused(work.train("alignment"), "preprocessor_config.json", "size");
  }

  @Test
  void aTokenizerOfAnotherModelIsNamed() {
    refused(
        work.train("alignment", "model.tokenizer=" + Golden.path("moextend/tokenizer")),
        "tokenizer.json",
        "32000 ids");
  }

  @Test
  void aLossThatIsNoNumberNamesTheStepAndTheEvidence() {
    refused(
        work.train(
            "finetune",
            "model.base=" + finetuned(),
            "optimizer.learning_rate=1e38",
            "optimizer.max_grad_norm=0",
            "training.max_steps=8"),
        "step ",
        "diverged-step-");
  }

  private Path finetuned() {
    return new Workspace(work.folder().resolve("other")).startFrom("moextend_ft_rand").base();
  }

  @Test
  void aRunDoesNotWriteIntoWhatItReads() {
    refused(
        work.train("alignment", "checkpoints.output_dir=" + work.base()),
        "checkpoints.output_dir",
        work.base().toString());
    Workspace.copy(work.base(), work.folder().resolve("run/model"));
    refused(
        work.train(
            "alignment",
            "model.base=" + work.folder().resolve("run/model"),
            "checkpoints.output_dir=" + work.folder().resolve("run")),
        "checkpoints.output_dir",
        "run/model");
    assertThat(work.base().resolve("config.yaml")).doesNotExist();
  }

  @Test
  void finetuneNeedsAddedExperts() {
    refused(work.train("finetune"), "finetune", "init-expert");
  }

  @Test
  void anOutputFolderThatCannotBeMadeIsNamed() {
    Workspace.write(work.folder().resolve("file"), "x");
    Path below = work.folder().resolve("file/out");
    refused(work.train("alignment", "checkpoints.output_dir=" + below), below.toString());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "verify --model BASE | frozen.json",
        "verify --model nowhere --proof BASE/config.json | nowhere",
        "verify --model BASE --proof BASE/config.json | config.json",
        "verify --model nowhere | nowhere",
        "verify | --model",
        "init-expert --model BASE --plan nowhere --output OUT | nowhere",
        "init-expert --model BASE --plan BASE/config.json --output OUT | config.json",
        "init-expert --model BASE --plan BASE/config.json --output BASE | base",
        "random-model --config nowhere --output OUT | nowhere",
        "random-model --config BASE --output BASE/config.json | config.json",
        "random-model --config BASE --output OUT --dtype f8 | f8",
        "random-model --config BASE --output OUT --backend abacus | abacus",
        "random-model --config BASE --output OUT --threads -3 | --threads",
        "expert-distribution --before BASE --after nowhere --data x.json --output o.json | nowhere",
        "trace --model nowhere --inputs nowhere --output nowhere | nowhere",
        "train --stage alignment | --config",
        "fly | fly",
      })
  void aWrongCommandLineIsNamed(String line, String named) {
    String[] args =
        line.replace("BASE", "" + work.base()).replace("OUT", "" + work.output()).split(" ");
    Workspace.Outcome outcome = Workspace.moextend(args);
    assertThat(outcome.err()).startsWith("moextend: ").contains(named).doesNotContain("\tat ");
    assertThat(outcome.code()).isEqualTo(2);
  }
}
