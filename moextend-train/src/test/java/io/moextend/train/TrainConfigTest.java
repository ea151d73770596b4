package io.moextend.train;

import static io.moextend.train.LeastConfig.LEAST;
import static io.moextend.train.LeastConfig.parse;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.model.CausalLoss;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How a configuration is read, and what it makes of a run. */
class TrainConfigTest {
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
