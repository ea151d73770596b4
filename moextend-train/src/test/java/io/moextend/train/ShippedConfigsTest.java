package io.moextend.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import io.moextend.autograd.Parameter.Role;
import io.moextend.optim.Schedule;
import io.moextend.stage.FreezePlan;
import io.moextend.stage.Stage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Numbers of the configurations that come with the project. */
class ShippedConfigsTest {
  /** Of decoders; configs/cluster is for schedulers, configs/mov for encoder-decoders. */
  static Stream<Path> shipped() throws IOException {
    Path project = Golden.root().resolveSibling("configs");
    try (Stream<Path> files = Files.walk(project)) {
      return files
          .filter(f -> f.toString().endsWith(".yaml") && !f.startsWith(project.resolve("cluster")))
          .filter(f -> !f.startsWith(project.resolve("mov")))
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

  /** Of encoder-decoders; what is named t0_ is a list of tasks. */
  static Stream<Path> adapting() throws IOException {
    try (Stream<Path> files = Files.list(Golden.root().resolveSibling("configs").resolve("mov"))) {
      return files
          .filter(f -> !String.valueOf(f.getFileName()).startsWith("t0_"))
          .sorted()
          .toList()
          .stream();
    }
  }

  @ParameterizedTest
  @MethodSource("adapting")
  void everyConfigurationOfAnAdapterIsReadAndExplained(Path file) throws IOException {
    AdaptConfig config = AdaptConfig.read(file, List.of());
    assertThat(YamlTree.YAML.readTree(config.yaml()))
        .isEqualTo(YamlTree.YAML.readTree(Files.readString(file)));
    everyFieldOfAShippedConfigurationHasACommentAboveIt(file);
    String name = String.valueOf(file.getFileName()).replace(".yaml", "");
    assertThat(name).startsWith(config.adapter().method().word());
    assertThat(config.checkpoints().outputDir()).hasToString("runs/mov/" + name);
    boolean full = config.adapter().method() == AdapterSection.Method.FULL;
    assertThat(config.training().globalBatch(8)).isEqualTo(full ? 256 : 32);
    assertThat(config.optimizer().learningRate()).isEqualTo(full ? 1e-3 : 3e-4);
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
}
