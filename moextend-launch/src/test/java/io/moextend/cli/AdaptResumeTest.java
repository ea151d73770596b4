package io.moextend.cli;

import static io.moextend.cli.AdaptRuns.STEPS;
import static io.moextend.cli.AdaptRuns.and;
import static io.moextend.cli.AdaptRuns.model;
import static io.moextend.cli.AdaptRuns.train;
import static io.moextend.cli.AdaptRuns.trained;
import static io.moextend.cli.AdaptRuns.weights;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.train.AdaptConfig;
import io.moextend.train.Trainer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Stage adapt goes on: from a checkpoint, and from adapters that were trained before. */
class AdaptResumeTest extends AdaptRunsTested {
  /** The dropout and the routers' noise of a step are the same whatever was before it. */
  @ParameterizedTest
  @CsvSource({"molora, adafactor, 0.2", "mov, adamw, 0.2", "lora, adafactor, 0", "full, adamw, 0"})
  void aRunThatWasStoppedGoesOnToTheSameBytes(String method, String optimizer, double noise)
      throws IOException {
    String[] settings = {
      "optimizer.optim=" + optimizer,
      "optimizer.lr_scheduler_type=cosine",
      "training.per_device_train_batch_size=2",
      "training.gradient_accumulation_steps=2",
      "adapter.jitter_noise=" + noise,
      "data.dataloader_num_workers=2"
    };
    Path whole = trained(config(method, settings));
    AdaptConfig stopped = config(method, settings);
    Path output = stopped.checkpoints().outputDir();
    var asked = new AtomicInteger();
    assertThat(train(stopped, () -> asked.incrementAndGet() > 2)).isEqualTo(Trainer.Ending.STOPPED);
    assertThat(output.resolve("model")).doesNotExist();
    assertThat(ThreadedRuns.losses(output)).hasSizeBetween(1, STEPS - 1);
    AdaptConfig again =
        config(
            method,
            and(
                settings,
                "checkpoints.output_dir=" + output,
                "checkpoints.resume_from_checkpoint=auto"));
    assertThat(trained(again)).isEqualTo(output);
    assertThat(weights(output)).hasSameBinaryContentAs(weights(whole));
    assertThat(ThreadedRuns.losses(output)).isEqualTo(ThreadedRuns.losses(whole));
  }

  @ParameterizedTest
  @ValueSource(strings = {"ia3", "lora", "mov", "molora"})
  void aRunGoesOnFromTrainedAdapters(String method) throws IOException {
    Path first = trained(config(method, "training.dropout_rate=0"));
    String from = "model.adapter=" + first.resolve("model");
    // a rate that moves nothing to speak of
    Path second =
        trained(config(method, from, "optimizer.learning_rate=1.0e-12", "training.dropout_rate=0"));
    try (WeightSource one = model(first);
        WeightSource other = model(second)) {
      ThreadedRuns.requireSame(one, other, 1e-6, name -> true);
    }
    // the same rows
    assertThat(ThreadedRuns.losses(second).getFirst())
        .isLessThan(ThreadedRuns.losses(first).getFirst());
  }

  @Test
  void adaptersOfAnotherKindAreNotGoneOnFrom() throws IOException {
    Path lora = trained(config("lora", "training.max_steps=1")).resolve("model");
    Path molora = trained(config("molora", "training.max_steps=1")).resolve("model");
    List<List<String>> wrong =
        List.of(
            List.of("molora", lora.toString(), "holds lora with 1 experts, rank 2, alpha 16.0"),
            List.of("lora", lora.toString(), "asks for lora with 1, 4, 16.0", "adapter.rank=4"),
            List.of("molora", molora.toString(), "holds molora with 3 ex", "adapter.experts=2"),
            List.of("molora", molora.toString(), "alpha 16.0", "adapter.alpha=8"));
    for (List<String> each : wrong) {
      var more = new ArrayList<>(List.of("model.adapter=" + each.get(1)));
      more.addAll(each.subList(3, each.size()));
      AdaptConfig config = config(each.getFirst(), more.toArray(String[]::new));
      assertThatThrownBy(() -> trained(config))
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining("model.adapter=" + each.get(1) + ": ")
          .hasMessageContaining(each.get(2));
      assertThat(config.checkpoints().outputDir().resolve("metrics.jsonl")).doesNotExist();
    }
  }

  @Test
  void adaptersAtOtherSitesAreRefusedByTheTensor() throws IOException {
    Path attention =
        trained(config("lora", "training.max_steps=1", "adapter.target_modules=[attention]"))
            .resolve("model");
    assertThatThrownBy(() -> trained(config("lora", "model.adapter=" + attention)))
        .hasMessageContaining("has no tensor encoder.")
        .hasMessageContaining("DenseReluDense");
    Path all = trained(config("molora", "training.max_steps=1")).resolve("model");
    String[] fewer = {"model.adapter=" + all, "adapter.target_modules=[q, v]"};
    assertThatThrownBy(() -> trained(config("molora", fewer))).hasMessageContaining(all.toString());
  }
}
