package io.moextend.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.config.ConfigException;
import io.moextend.train.AdaptTraining.Normalizer;
import io.moextend.train.AdapterSection.Method;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AdaptConfigTest {
  private static final String LEAST =
      """
      model:
        base: models/t5
      adapter:
        method: molora
      data:
        mixture: mixture.yaml
      training:
        per_device_train_batch_size: 2
        max_steps: 10
      checkpoints:
        output_dir: out
      """;

  private static AdaptConfig parse(String text, String... overrides) {
    return AdaptConfig.parse("run.yaml", text, List.of(overrides));
  }

  @Test
  void whatIsLeftOutIsAsPublishedAndTheResolvedTextGivesTheSameConfiguration() {
    AdaptConfig config = parse(LEAST);
    assertThat(config.adapter())
        .isEqualTo(new AdapterSection(Method.MOLORA, 10, 4, 16, null, 0, 0, 0, null));
    assertThat(config.data().inputsLength()).isEqualTo(1024);
    assertThat(config.data().targetsLength()).isEqualTo(256);
    assertThat(config.data().packing()).isTrue();
    assertThat(config.training().zLoss()).isEqualTo(1e-4);
    assertThat(config.training().lossNormalizer()).isEqualTo(Normalizer.AVERAGE_PER_SEQUENCE);
    assertThat(config.distributed().zeroStage()).isZero();
    assertThat(parse(config.yaml())).isEqualTo(config);
  }

  @Test
  void anOverrideCountsMoreThanTheFile() {
    AdaptConfig config =
        parse(
            LEAST,
            "adapter.method=mov",
            "adapter.experts=30",
            "adapter.top_k=2",
            "adapter.target_modules=[attention, wi_0]",
            "model.adapter=runs/a/model",
            "training.loss_normalizer=num_real_target_tokens",
            "data.packing=false");
    assertThat(config.adapter().method()).isEqualTo(Method.MOV);
    assertThat(config.adapter().experts()).isEqualTo(30);
    assertThat(config.adapter().topK()).isEqualTo(2);
    assertThat(config.adapter().targetModules()).containsExactly("attention", "wi_0");
    assertThat(config.model().adapter()).isEqualTo(Path.of("runs/a/model"));
    assertThat(config.training().lossNormalizer()).isEqualTo(Normalizer.REAL_TOKENS);
    assertThat(config.data().packing()).isFalse();
    assertThat(parse(config.yaml())).isEqualTo(config);
  }

  @Test
  void aSectionOfTheDefaultsCanBeTakenAwayAndTheResolvedTextSaysSo() {
    AdaptConfig config = parse(LEAST, "optimizer.optim=adamw", "optimizer.adafactor=null");
    assertThat(config.optimizer().adafactor()).isNull();
    assertThat(parse(config.yaml())).isEqualTo(config);
  }

  @Test
  void aSectionThatIsNeededCannot() {
    assertThatThrownBy(() -> parse(LEAST, "optimizer=null"))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("optimizer has no value, and needs one");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "adapter.method=none | run.yaml: adapter.method=none: choose ia3, lora, mov, molora or full",
        "adapter.method=prefix | adapter.method=prefix: known are none, ia3, lora, mov, molora, full",
        "adapter.top_k=11 | adapter.top_k=11: there are 10 experts",
        "adapter.method=lora adapter.top_k=1 | adapter.top_k=1: is for mov and molora; lora has no",
        "adapter.method=ia3 adapter.jitter_noise=0.1 | adapter.jitter_noise=0.1: is for mov and",
        "adapter.method=full adapter.router_z_loss_coef=1 | adapter.router_z_loss_coef=1.0: is for",
        "adapter.method=full adapter.target_modules=[q] | full adds nothing; write null",
        "adapter.method=full model.adapter=a | model.adapter=a: full finetuning has no adapters",
        "adapter.target_modules=[] | adapter.target_modules=[]: name at least one",
        "adapter.experts=0 | adapter.experts=0: must be at least 1",
        "adapter.rank=0 | adapter.rank=0: must be at least 1",
        "evaluation.eval_steps=5 | evaluation.eval_steps=5: there is nothing to evaluate on; set data.eval_mixture",
        "adapter.expert=3 | there is no field adapter.expert; did you mean experts?",
        "data.train_files=[a.json] | there is no field data.train_files",
        "training.dropout_rate=1 | training.dropout_rate=1.0",
        "training.max_steps=null | training.max_steps has no value",
        "training.loss_normalizer=mean | average_per_sequence, num_real_target_tokens,",
      })
  void whatCannotBeIsRefusedByItsField(String overrides, String message) {
    assertThatThrownBy(() -> parse(LEAST, overrides.split(" ")))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "adapter.method=mov",
        "adapter.experts=5",
        "adapter.rank=8",
        "adapter.top_k=1",
        "adapter.target_modules=[attention]",
        "data.mixture=other.yaml",
        "data.packing=false",
        "training.seed=1",
        "training.dropout_rate=0",
        "training.loss_normalizer=none",
        "training.gradient_accumulation_steps=2",
        "optimizer.learning_rate=1e-3"
      })
  void whatMakesARunAnotherIsPartOfItsIdentity(String override) {
    assertThat(parse(LEAST, override).identity(1)).isNotEqualTo(parse(LEAST).identity(1));
  }

  @Test
  void itsLengthAndHowItIsComputedAreNot() {
    Map<String, String> identity = parse(LEAST).identity(2);
    for (String override :
        List.of(
            "training.max_steps=99",
            "training.gradient_checkpointing=true",
            "evaluation.per_device_eval_batch_size=3",
            "checkpoints.output_dir=elsewhere",
            "distributed.zero_stage=2")) {
      assertThat(parse(LEAST, override).identity(2)).as(override).isEqualTo(identity);
    }
  }

  @Test
  void theBaseSaysWhichKindOfConfigurationAFileIs(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("run.yaml");
    Files.writeString(file, "model:\n  base: " + Golden.path("hf/hf_t5") + "\n");
    Path decoder = Golden.path("hf/hf_mixtral");
    assertThat(AdaptConfig.isMeant(file, List.of())).isTrue();
    assertThat(AdaptConfig.isMeant(file, List.of("model.base=" + decoder))).isFalse();
    assertThat(AdaptConfig.isMeant(file, List.of("model.base='" + decoder + "'"))).isFalse();
    Files.writeString(file, "training: {max_steps: 3}\n");
    assertThatThrownBy(() -> AdaptConfig.isMeant(file, List.of("training.max_steps=2")))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("model.base has no value, and needs one");
  }
}
