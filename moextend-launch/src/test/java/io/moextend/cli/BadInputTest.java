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

  private void samples(String json) {
    Workspace.write(work.samples(), json);
  }

  /** One sample: what the user says, and an answer. */
  private void sample(String user) {
    samples(
        """
        [{"id": "s1", "conversations": [{"from": "user", "value": "%s"},
          {"from": "assistant", "value": "yes"}]}]
        """
            .formatted(user));
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
    "'\"patch_size\": 4', '\"patch_size\": 5', patch_size",
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
  void aMissingImageIsNamedWithItsSample() throws IOException {
    Files.delete(work.data().resolve("i1.png"));
    refused(work.train("alignment"), "train.json", "sample 2", "i1.png");
  }

  @Test
  void anImageThatIsNoneIsNamedWithItsSample() {
    Workspace.write(work.data().resolve("i1.png"), "no picture");
    refused(work.train("alignment"), "train.json", "sample 2", "i1.png");
  }

  @Test
  void anImageCutShortIsNamedWithItsSample() throws IOException {
    Path image = work.data().resolve("i1.png");
    byte[] bytes = Files.readAllBytes(image);
    Files.write(image, java.util.Arrays.copyOf(bytes, bytes.length / 2));
    refused(work.train("alignment"), "train.json", "sample 2", "i1.png");
  }

  @Test
  void anImageOfTooManyPixelsIsNamedWithItsSample() {
    refused(
        work.train("alignment", "data.max_image_pixels=10"), "train.json", "sample", ".png", "10");
  }

  @ParameterizedTest
  @CsvSource({"../base/config.json", "/etc/hostname", "https://example.org/i0.png", "gone.png"})
  void anImagePathThatMustNotBeReadIsNamedWithItsSample(String path) {
    sample("<image>" + path + "</image>what?");
    refused(work.train("alignment"), "train.json", "sample 1", path);
  }

  @Test
  void aLinkThatLeavesTheImageFolderIsNamedWithItsSample() throws IOException {
    Files.createSymbolicLink(work.data().resolve("out.png"), Golden.path("moextend/data/i0.png"));
    sample("<image>out.png</image>what?");
    refused(work.train("alignment"), "train.json", "sample 1", "out.png", "link");
  }

  @Test
  void aSampleOverTheLengthIsNamed() {
    refused(work.train("alignment", "data.max_length=20"), "train.json", "sample 1", "20");
  }

  @Test
  void aCutInsideAnImageIsNamed() {
    refused(
        work.train("alignment", "data.max_length=20", "data.over_length=truncate"),
        "train.json",
        "sample 1",
        "i0.png");
  }

  @Test
  void aSampleLongerThanTheModelHasPositionsIsNamedBeforeTheFirstStep() {
    sample("the red tin on the hat ".repeat(60));
    refused(
        work.train("alignment", "data.max_length=2000"),
        "train.json",
        "sample 1",
        "max_position_embeddings=256");
    refused(
        work.train(
            "alignment",
            "data.max_length=300",
            "data.pad_to_max=true",
            "data.over_length=truncate"),
        "data.max_length=300",
        "max_position_embeddings=256");
    assertThat(work.output().resolve("metrics.jsonl")).doesNotExist();
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
  void samplesThatAreAllTooLongAreRefused() {
    refused(
        work.train("alignment", "data.max_length=5", "data.over_length=skip"), "longer than", "5");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "[] | no samples",
        "[{}] | conversations",
        "[{\"conversations\": []}] | conversations",
        "[{\"conversations\": [{\"from\": \"user\"}]}] | value",
        "[{\"conversations\": [{\"from\": \"narrator\", \"value\": \"x\"}]}] | narrator",
        "[{\"conversations\": [{\"from\": \"user\", \"value\": \"<image> what\"}]}] | image",
        "[{\"image\": \"i0.png\", \"conversations\": [{\"from\": \"user\", \"value\": \"x\"}]}] | image",
        "[{\"image\": 3, \"conversations\": [{\"from\": \"user\", \"value\": \"x\"}]}] | image",
        "[1] | sample 1",
        "[{\"conversations\": [ | JSON",
        "'not json at all' | JSON",
      })
  void samplesThatAreNoneAreNamed(String json, String named) {
    samples(json);
    refused(work.train("alignment"), "train.json", named);
  }

  @Test
  void anEmptySampleFileIsNamed() {
    samples("");
    refused(work.train("alignment"), "train.json", "no samples");
  }

  @Test
  void aModelWithoutAVisionPartIsNotGivenImages() throws IOException {
    deleteAll(work.base());
    Workspace.copy(Golden.path("hf/hf_mixtral"), work.base());
    Workspace.copy(Golden.path("moextend/tokenizer_tiny"), work.base());
    refused(work.train("full"), "train.json", "sample 1", "model.vision_tower");
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

  private static void deleteAll(Path folder) throws IOException {
    try (var files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
  }
}
