package io.moextend.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import io.moextend.data.SampleOrder;
import io.moextend.data.Talk;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a run is told of its samples, as far as the words of its configuration reach. */
class RunDataTest {
  @TempDir Path folder;

  private interface Use {
    void of(RunData data, TrainConfig config);
  }

  private void with(List<String> settings, Use use) throws IOException {
    var samples = new StringBuilder();
    for (int i = 0; i < 16; i++) {
      boolean seen = i % 3 == 0;
      samples
          .append(i == 0 ? "[" : ",")
          .append(seen ? "{\"image\": \"tall.png\"," : "{")
          .append("\"conversations\": [{\"from\": \"human\", \"value\": \"")
          .append(seen ? "<image>\\n" : "")
          .append("the tin ".repeat(1 + i))
          .append("\"}, {\"from\": \"gpt\", \"value\": \"red\"}]}");
    }
    Path file = Files.writeString(folder.resolve("s.json"), samples.append("]"));
    TrainConfig config =
        TrainConfig.parse(
            "run.yaml",
            """
            model: {base: %s}
            data: {train_files: [%s], image_root: %s}
            optimizer: {learning_rate: 1.0e-2}
            training: {per_device_train_batch_size: 1, gradient_accumulation_steps: 2}
            checkpoints: {output_dir: out}
            """
                .formatted(
                    Golden.path("moiie/moiie_phi3"),
                    file,
                    Golden.path("moiie/preprocessing/images")),
            settings);
    ModelSection section =
        new ModelSection(
            config.model().base(), null, null, Golden.path("moiie/tokenizers/tok_phi3"));
    Talk talk = ModelFiles.talk(section, config.data().conversationTemplate());
    try (Tokenizer tokenizer = ModelFiles.tokenizer(section, talk);
        RunData data =
            RunData.open(config, ModelFiles.of(section, tokenizer, 0), tokenizer, _ -> {})) {
      use.of(data, config);
    }
  }

  private static final List<String> LENGTH =
      List.of("data.max_length=128", "data.over_length=truncate");

  private static List<String> and(String more) {
    var all = new ArrayList<>(LENGTH);
    all.add(more);
    return all;
  }

  @Test
  void aStepsSamplesAllHaveImagesOrNone() throws IOException {
    List<int[]> orders = new ArrayList<>();
    with(
        and("data.group_by_modality_length=true"),
        (data, config) -> {
          int[] kinds = data.training().modalityLengths();
          int[] order = data.order(config, 2).epoch(0);
          assertThat(order).hasSize(16);
          // six samples with images and ten without make one and two whole steps of four
          int alike = 0;
          for (int step = 0; step < 3; step++) {
            int seen = 0;
            for (int i = 0; i < 4; i++) {
              seen += kinds[order[4 * step + i]] > 0 ? 1 : 0;
            }
            alike += seen % 4 == 0 ? 1 : 0;
          }
          assertThat(alike).isEqualTo(3);
          orders.add(order);
        });
    var four = new ArrayList<>(and("data.group_by_modality_length=true"));
    four.add("training.gradient_accumulation_steps=1");
    with(four, (data, config) -> orders.add(data.order(config, 4).epoch(0)));
    assertThat(orders.get(1)).as("four ranks, one micro-batch each").isEqualTo(orders.get(0));
  }

  @Test
  void withoutGroupsEveryOrderIsAsLikely() throws IOException {
    with(
        LENGTH,
        (data, config) ->
            assertThat(data.order(config, 2).arrangement())
                .isEqualTo(new SampleOrder.Arrangement.Shuffled()));
  }

  @Test
  void theTemplateIsThatOfTheModelUnlessOneIsNamed() throws IOException {
    with(LENGTH, (data, _) -> assertThat(data.training().answerEnd()).isEqualTo(440));
    // </s>
    with(
        and("data.conversation_template=minicpm"),
        (data, _) -> assertThat(data.training().answerEnd()).isEqualTo(2));
    with(LENGTH, (data, _) -> assertThat(data.remarks()).isEmpty());
  }

  @Test
  void howSamplesAreWrittenAndOrderedIsPartOfTheRunsIdentity() {
    String text =
        """
        model: {base: b}
        data: {train_files: [a.json]}
        optimizer: {learning_rate: 1.0e-2}
        training: {per_device_train_batch_size: 1}
        checkpoints: {output_dir: out}
        """;
    var usual = TrainConfig.parse("run.yaml", text, List.of()).identity(1);
    for (String change :
        List.of(
            "data.conversation_template=phi3",
            "data.group_by_modality_length=true",
            "model.image_aspect_ratio=pad",
            "model.s2_scales=[28, 56]",
            "model.projector_type=linear")) {
      var other = TrainConfig.parse("run.yaml", text, List.of(change)).identity(1);
      assertThat(other).as(change).isNotEqualTo(usual);
    }
  }
}
