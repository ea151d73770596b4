package io.moextend.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.model.CausalLoss;
import io.moextend.optim.Schedule;
import io.moextend.shard.RoleRates;
import io.moextend.stage.FreezePlan;
import io.moextend.stage.Stage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class TrainConfigTest {
  private static final String LEAST =
      """
      model:
        base: models/tiny
      data:
        train_files: [a.json]
      optimizer:
        learning_rate: 1e-3
      training:
        per_device_train_batch_size: 2
      checkpoints:
        output_dir: out
      """;

  private static TrainConfig parse(String text, String... overrides) {
    return TrainConfig.parse("run.yaml", text, List.of(overrides));
  }

  /** Those of runs; what lies in configs/cluster is for schedulers. */
  static Stream<Path> shipped() throws IOException {
    Path project = Golden.root().resolveSibling("configs");
    try (Stream<Path> files = Files.walk(project)) {
      return files
          .filter(f -> f.toString().endsWith(".yaml") && !f.startsWith(project.resolve("cluster")))
          .sorted()
          .toList()
          .stream();
    }
  }

  @ParameterizedTest
  @MethodSource("shipped")
  void everyShippedConfigurationIsReadAndLeavesNothingToDefaults(Path file) throws IOException {
    TrainConfig config = TrainConfig.read(file, List.of());
    assertThat(YamlTree.YAML.readTree(config.yaml()))
        .isEqualTo(YamlTree.YAML.readTree(Files.readString(file)));
  }

  @ParameterizedTest
  @MethodSource("shipped")
  void everyFieldOfAShippedConfigurationHasACommentAboveIt(Path file) throws IOException {
    List<String> lines = Files.readAllLines(file);
    for (int i = 1; i < lines.size(); i++) {
      if (lines.get(i).matches(" *[a-z_0-9]+: .+")) {
        assertThat(lines.get(i - 1)).as(lines.get(i)).contains("# ");
      }
    }
  }

  @Test
  void theShippedFinetuneHasThePublishedNumbers() throws IOException {
    Path file =
        shipped().filter(f -> f.endsWith("moextend/finetune.yaml")).findFirst().orElseThrow();
    TrainConfig config = TrainConfig.read(file, List.of());
    assertThat(config.optimizer().learningRate()).isEqualTo(2e-5);
    assertThat(config.data().maxLength()).isEqualTo(2048);
    assertThat(config.training().perDeviceTrainBatchSize()).isEqualTo(32);
    assertThat(config.optimizer().schedule(100)).isEqualTo(new Schedule.WarmupLr(2e-5, 3));
  }

  @ParameterizedTest
  @ValueSource(strings = {"moextend", "tiny"})
  void theShippedExtensionStartsFromWhatTheShippedAlignmentLeaves(String folder)
      throws IOException {
    TrainConfig alignment = shipped(folder + "/alignment.yaml");
    TrainConfig extension = shipped(folder + "/extension.yaml");
    assertThat(extension.model())
        .isEqualTo(
            new ModelSection(
                alignment.checkpoints().outputDir().resolve("model"), null, null, null));
  }

  @ParameterizedTest
  @CsvSource({
    "pretrain, pretrain, 256, 2048, 5e-4, 2, plain, square",
    "sft, sft, 128, 4096, 2e-5, 3, phi3, pad",
    "sft-mlp, sft, 128, 4096, 2e-5, 3, phi3, pad",
    "sft-dense, sft, 128, 2048, 2e-5, 3, phi3, pad"
  })
  void theShippedStagesOfMoiieHaveThePublishedNumbers(
      String file,
      String stage,
      int globalBatch,
      int maxLength,
      double rate,
      int zero,
      String template,
      String aspect)
      throws IOException {
    TrainConfig config = shipped("moiie/" + file + ".yaml");
    assertThat(config.training().globalBatch(8)).isEqualTo(globalBatch);
    assertThat(config.data().maxLength()).isEqualTo(maxLength);
    assertThat(config.optimizer().schedule(1000)).isEqualTo(new Schedule.Cosine(rate, 30, 1000));
    assertThat(config.optimizer().maxGradNorm()).isZero();
    assertThat(config.optimizer().weightDecay()).isZero();
    assertThat(config.distributed().zeroStage()).isEqualTo(zero);
    assertThat(config.data().conversationTemplate()).isEqualTo(template);
    assertThat(config.model().imageAspectRatio()).hasToString(aspect.toUpperCase(Locale.ROOT));
    assertThat(config.model().s2Scales()).containsExactly(384, 768, 1152);
    FreezePlan plan = config.training().plan(Stage.named(stage));
    assertThat(plan.has("", Role.PROJECTOR)).isEqualTo(!file.equals("sft-mlp"));
    assertThat(plan.has("", Role.BACKBONE))
        .isEqualTo(file.equals("sft") || file.equals("sft-dense"));
    assertThat(plan.has("", Role.EXPERT)).isEqualTo(stage.equals("sft"));
    assertThat(plan.has("", Role.VISION_TOWER)).isFalse();
    if (stage.equals("sft")) {
      assertThat(config.model().projector())
          .isEqualTo(shipped("moiie/pretrain.yaml").checkpoints().outputDir().resolve("model"));
    }
  }

  private static TrainConfig shipped(String name) throws IOException {
    Path file = shipped().filter(f -> f.endsWith(name)).findFirst().orElseThrow();
    return TrainConfig.read(file, List.of());
  }

  @Test
  void defaultsFillInWhatIsLeftOutAndTheResolvedTextGivesTheSameConfiguration() {
    TrainConfig config = parse(LEAST);
    assertThat(config.optimizer().adamBeta2()).isEqualTo(0.999);
    assertThat(config.model().delta()).isNull();
    assertThat(config.distributed()).isEqualTo(DistributedSection.usual());
    assertThat(parse(config.yaml())).isEqualTo(config);
    assertThat(config.yaml()).contains("adam_epsilon: 1.0E-8", "output_dir: out");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {
        "learning_rate: 1e-3 | learnig_rate: 1e-3 | run.yaml: there is no field"
            + " optimizer.learnig_rate; did you mean learning_rate?",
        "learning_rate: 1e-3 | warmup_ratio: 0 | run.yaml: optimizer.learning_rate has no value",
        "learning_rate: 1e-3 | learning_rate: fast | optimizer.learning_rate",
        "learning_rate: 1e-3 | learning_rate: -1 | run.yaml: optimizer.learning_rate=-1.0: must be"
            + " greater than 0",
        "per_device_train_batch_size: 2 | per_device_train_batch_size: 2.5 |"
            + " training.per_device_train_batch_size",
        "per_device_train_batch_size: 2 | per_device_train_batch_size: '2' |"
            + " training.per_device_train_batch_size",
        "train_files: [a.json] | train_files: [] | data.train_files=[]: name at least one file",
        "train_files: [a.json] | train_files: [null] | data.train_files",
        "base: models/tiny | base: null | run.yaml: model.base has no value, and needs one",
        "output_dir: out | {output_dir: out, save_steps: null} | run.yaml",
        "model: | mdel: | there is no field mdel; did you mean model?",
      })
  void aFaultNamesTheFileAndTheField(String right, String wrong, String message) {
    assertThatThrownBy(() -> parse(LEAST.replace(right, wrong)))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("run.yaml")
        .hasMessageContaining(message);
  }

  @Test
  void anUnknownChoiceIsAnsweredWithTheKnownOnes() {
    assertThatThrownBy(() -> parse(LEAST, "optimizer.lr_scheduler_type=cosinus"))
        .isInstanceOf(ConfigException.class)
        .hasMessage(
            "run.yaml: optimizer.lr_scheduler_type=cosinus: known are cosine, warmup_lr, constant,"
                + " constant_with_warmup, linear");
  }

  @Test
  void theResolvedConfigurationIsWrittenBesideTheRunAndReadBack(@TempDir Path folder) {
    TrainConfig config = parse(LEAST, "checkpoints.output_dir='2024'", "training.max_steps=3");
    new ConfigFile(config).write(folder.resolve("out"));
    assertThat(TrainConfig.read(folder.resolve("out/config.yaml"), List.of())).isEqualTo(config);
  }

  @Test
  void aSecondDocumentOrAFieldGivenTwiceIsRefused() {
    assertThatThrownBy(() -> parse(LEAST + "---\nmodel: {}\n"))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("run.yaml");
    assertThatThrownBy(() -> parse(LEAST + "model:\n  base: x\n"))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("Duplicate");
  }

  @Test
  void anOverrideCountsMoreThanTheFileAndTheLastOneMost() {
    TrainConfig config =
        parse(
            LEAST,
            "optimizer.learning_rate=5e-4",
            "optimizer.learning_rate=2e-4",
            "data.train_files=[b.json, c.json]",
            "model.delta=runs/a=b",
            "training.threads=3",
            "logging_steps=7");
    assertThat(config.optimizer().learningRate()).isEqualTo(2e-4);
    assertThat(config.data().trainFiles()).containsExactly(Path.of("b.json"), Path.of("c.json"));
    assertThat(config.model().delta()).isEqualTo(Path.of("runs/a=b"));
    assertThat(config.training().threads()).isEqualTo(3);
    assertThat(config.loggingSteps()).isEqualTo(7);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "optimizer.lerning_rate=1 | there is no field optimizer.lerning_rate; did you mean",
        "optimiser.learning_rate=1 | there is no field optimiser; did you mean optimizer?",
        "optimizer=1 | is a section",
        "optimizer.learning_rate.x=1 | has no fields",
        "learning_rate | key.path=value",
        "checkpoints.output_dir= | needs one",
      })
  void anOverrideOfNoFieldIsRefused(String override, String message) {
    assertThatThrownBy(() -> parse(LEAST, override))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining(message);
  }

  @Test
  void evaluationWithoutDataIsRefusedBeforeTheFirstStep() {
    assertThatThrownBy(() -> parse(LEAST, "evaluation.eval_steps=50"))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("nothing to evaluate on");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "training.freeze=[role:exprt] | run.yaml: training.freeze=role:exprt: there is no such role;",
        "training.train=[name:(] | run.yaml: training.train=name:(: is no regular expression",
        "training.train=role:expert | training.train",
        "training.freeze=[3] | training.freeze",
        "optimizer.mm_projector_lr=0 | optimizer.mm_projector_lr=0.0: must be greater than 0",
        "optimizer.mm_vision_tower_lr=-1 | optimizer.mm_vision_tower_lr=-1.0: must be greater than",
      })
  void aWrongRuleOrRateIsRefusedWhenItIsRead(String override, String message) {
    assertThatThrownBy(() -> parse(LEAST, override))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining(message);
  }

  @Test
  void rulesAndRatesAreReadFromYamlAndFromTheCommandLine() {
    TrainConfig config =
        parse(
            LEAST.replace(
                "training:",
                "  mm_projector_lr: 2e-5\ntraining:\n  train: ['role:vision_tower', name:^lm_head]\n"),
            "training.freeze=['name:\\.experts\\.[0-2]\\.', role:backbone]");
    assertThat(config.training().train()).containsExactly("role:vision_tower", "name:^lm_head");
    assertThat(parse(config.yaml())).isEqualTo(config);
    FreezePlan plan = config.training().plan(Stage.SFT);
    assertThat(plan.has("model.layers.1.mlp.experts.2.down_proj.weight", Role.EXPERT)).isFalse();
    assertThat(plan.has("model.layers.1.mlp.experts.3.down_proj.weight", Role.EXPERT)).isTrue();
    assertThat(config.optimizer().mmProjectorLr()).isEqualTo(2e-5);
    assertThat(config.identity(1)).isNotEqualTo(parse(LEAST).identity(1));
  }

  @Test
  void aRateOfWhatDoesNotTrainIsRefused() {
    OptimizerSection section = parse(LEAST, "optimizer.mm_vision_tower_lr=2e-6").optimizer();
    assertThatThrownBy(() -> section.rates(List.of()))
        .isInstanceOf(ConfigException.class)
        .hasMessage(
            "optimizer.mm_vision_tower_lr=2.0E-6: the vision tower does not train in this run;"
                + " write null, or add role:vision_tower to training.train");
    assertThat(parse(LEAST).optimizer().rates(List.of())).isEqualTo(RoleRates.ALIKE);
  }

  @Test
  void stepsAreCountedAsHuggingFaceCountsThem() {
    TrainingSection training =
        parse(LEAST, "training.gradient_accumulation_steps=4", "training.num_train_epochs=1.5")
            .training();
    assertThat(training.steps(11, 1)).isEqualTo(3); // 11/4 = 2 an epoch
    assertThat(training.steps(3, 1)).isEqualTo(2);
    assertThat(training.steps(17, 2)).isEqualTo(3); // 17/8 = 2 an epoch
    assertThat(parse(LEAST, "training.max_steps=9").training().steps(1000, 1)).isEqualTo(9);
  }

  @Test
  void whatMakesARunAnotherIsPartOfItsIdentityAndItsLengthIsNot() {
    Map<String, String> identity = parse(LEAST).identity(1);
    assertThat(parse(LEAST, "training.seed=1").identity(1)).isNotEqualTo(identity);
    assertThat(parse(LEAST, "data.train_files=[b.json]").identity(1)).isNotEqualTo(identity);
    assertThat(parse(LEAST, "training.max_steps=9").identity(1)).isEqualTo(identity);
  }

  @Test
  void ranksAndAccumulationMayChangeAsLongAsTheGlobalBatchDoesNot() {
    Map<String, String> identity =
        parse(LEAST, "training.gradient_accumulation_steps=6").identity(1);
    assertThat(parse(LEAST, "training.gradient_accumulation_steps=2").identity(3))
        .isEqualTo(identity);
    assertThat(parse(LEAST, "training.gradient_accumulation_steps=2").identity(2))
        .isNotEqualTo(identity);
    assertThat(
            parse(LEAST, "training.gradient_accumulation_steps=6", "distributed.zero_stage=3")
                .identity(1))
        .isEqualTo(identity);
  }

  @Test
  void wrongSettingsOfRanksAreRefusedByName() {
    assertThatThrownBy(() -> parse(LEAST, "distributed.zero_stage=4"))
        .hasMessageContaining("distributed.zero_stage=4: known are 0, 1, 2 and 3");
    assertThatThrownBy(() -> parse(LEAST, "distributed.transport=nccl"))
        .hasMessageContaining("distributed.transport=nccl")
        .hasMessageContaining("auto, shared_memory, aeron_ipc, aeron_udp");
    assertThatThrownBy(() -> parse(LEAST, "distributed.bucket_bytes=10"))
        .hasMessageContaining("distributed.bucket_bytes=10: must be at least 1024");
    assertThat(parse(LEAST).distributed().shardsFrozen()).isFalse();
    assertThat(parse(LEAST, "distributed.zero_stage=3").distributed().shardsFrozen()).isTrue();
  }

  @Test
  void theBalanceLossIsThePublishedOneUnlessToldOtherwise() {
    DecoderConfig extended = HuggingFaceConfig.read(Golden.path("moextend/moextend_ft")).decoder();
    assertThat(parse(LEAST).training().loss(extended))
        .isEqualTo(new CausalLoss(BalanceForm.PER_LAYER, 0.001));
    DecoderConfig plain = HuggingFaceConfig.read(Golden.path("hf/hf_mixtral")).decoder();
    TrainConfig config =
        parse(LEAST, "training.router_aux_loss_coef=0.5", "training.balance=per_layer");
    assertThat(parse(LEAST).training().loss(plain))
        .isEqualTo(new CausalLoss(BalanceForm.POOLED, 0.02));
    assertThat(config.training().loss(plain)).isEqualTo(new CausalLoss(BalanceForm.PER_LAYER, 0.5));
    assertThatThrownBy(() -> parse(LEAST, "training.balance=pooled").training().loss(extended))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("2 of 3 layers");
  }
}
