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
import io.moextend.optim.Adafactor;
import io.moextend.optim.AdamW;
import io.moextend.shard.RoleRates;
import io.moextend.stage.FreezePlan;
import io.moextend.stage.Stage;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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
                + " constant_with_warmup, linear, factors");
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

  private static final String ADAFACTOR =
      LEAST.replace(
          "training:",
          """
            optim: adafactor
            adafactor:
              start_step: 1100000
              decay_rate: 0.8
              clipping_threshold: 1.0
              multiply_by_parameter_scale: true
              min_dim_size_to_factor: 128
            lr_scheduler_type: factors
            lr_factors:
              factors: constant * linear_warmup
              first_step: 5
              decay_factor: 0.5
              steps_per_decay: 20000
              steps_per_cycle: 100000
              min_learning_rate: 1e-8
            warmup_steps: 10
          training:""");

  @Test
  void adafactorAndItsScheduleAreReadFromSectionsOfTheirOwn() {
    assertThat(parse(LEAST).optimizer().rule()).isEqualTo(AdamW.PUBLISHED);
    TrainConfig config = parse(ADAFACTOR);
    assertThat(config.optimizer().rule()).isEqualTo(Adafactor.from(Adafactor.PUBLISHED_START));
    assertThat(config.optimizer().schedule(100).at(1)).isEqualTo(1e-3 * 5 / 10);
    assertThat(parse(config.yaml())).isEqualTo(config);
    assertThat(
            parse(ADAFACTOR, "optimizer.adafactor.min_dim_size_to_factor=null").optimizer().rule())
        .isEqualTo(new Adafactor(Adafactor.PUBLISHED_START, 0.8, 1, true, Adafactor.NEVER));
  }

  @Test
  void anotherRuleOrStartIsAnotherRun() {
    Map<String, String> identity = parse(ADAFACTOR).identity(1);
    for (String override :
        List.of(
            "optimizer.optim=adamw",
            "optimizer.adafactor.start_step=0",
            "optimizer.lr_factors.first_step=6")) {
      assertThat(parse(ADAFACTOR, override).identity(1)).as(override).isNotEqualTo(identity);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "optimizer.optim=adagrad | optimizer.optim=adagrad: known are adamw, adafactor",
        "optimizer.weight_decay=0.1 | optimizer.weight_decay=0.1: adafactor has none",
        "optimizer.adafactor.start_step=-1 | optimizer.adafactor.start_step=-1: must be at least 0",
        "optimizer.adafactor.decay_rate=0 | optimizer.adafactor.decay_rate=0.0: must be greater",
        "optimizer.adafactor.start_stp=1 | no field optimizer.adafactor.start_stp; did you mean",
        "optimizer.lr_factors.factors=constant * rsqrt | optimizer.lr_factors.factors=constant * rsqrt: there is no factor 'rsqrt'; known are constant,",
        "optimizer.lr_factors.factors=constant * linear_decay | linear_decay is constant and",
        "optimizer.lr_factors.steps_per_decay=0 | optimizer.lr_factors.steps_per_decay=0: must be",
      })
  void whatAdafactorOrItsScheduleCannotBeIsRefusedByName(String override, String message) {
    assertThatThrownBy(() -> parse(ADAFACTOR, override))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining(message);
  }

  @Test
  void aRuleOrScheduleWithoutItsSectionIsRefused() {
    assertThatThrownBy(() -> parse(LEAST, "optimizer.optim=adafactor"))
        .hasMessageContaining("optimizer.adafactor=null: is needed with optim: adafactor");
    assertThatThrownBy(() -> parse(LEAST, "optimizer.lr_scheduler_type=factors"))
        .hasMessageContaining("optimizer.lr_factors=null: is needed with lr_scheduler_type");
    assertThatThrownBy(() -> parse(ADAFACTOR.replace("    decay_rate: 0.8\n", "")))
        .hasMessageContaining("optimizer.adafactor.decay_rate is missing");
  }

  @Test
  void whatAdaptsAnEncoderDecoderHasThePublishedRuleUnlessToldOtherwise() {
    String text =
        """
        model:
          base: models/t5
        adapter:
          method: mov
        data:
          mixture: mixture.yaml
        training:
          per_device_train_batch_size: 2
          max_steps: 10
        checkpoints:
          output_dir: out
        """;
    AdaptConfig config = AdaptConfig.parse("run.yaml", text, List.of());
    assertThat(config.optimizer().rule()).isEqualTo(Adafactor.from(Adafactor.PUBLISHED_START));
    assertThat(config.optimizer().schedule(10).at(1)).isEqualTo(3e-4);
    List<String> fromScratch = List.of("optimizer.adafactor.start_step=0");
    assertThat(AdaptConfig.parse("run.yaml", text, fromScratch).identity(1))
        .isNotEqualTo(config.identity(1));
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
    assertThatThrownBy(() -> parse(LEAST, "distributed.transport=carrier_pigeon"))
        .hasMessageContaining("distributed.transport=carrier_pigeon")
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
