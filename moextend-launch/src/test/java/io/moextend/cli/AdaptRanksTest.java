package io.moextend.cli;

import static io.moextend.cli.AdaptRuns.GLOBAL_BATCH;
import static io.moextend.cli.AdaptRuns.and;
import static io.moextend.cli.AdaptRuns.model;
import static io.moextend.cli.AdaptRuns.trained;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.withinPercentage;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.train.AdaptConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Stage adapt on two ranks: a tiny random T5 and prompted tasks. */
class AdaptRanksTest extends AdaptRunsTested {
  /** Rows hold different numbers of examples; each rank has half of them. */
  @ParameterizedTest
  @CsvSource({
    "molora, adafactor, 0, average_per_sequence",
    "molora, adafactor, 1, average_per_sequence",
    "molora, adamw, 2, num_real_target_tokens",
    "mov, adamw, 1, none",
    "lora, adamw, 2, average_per_sequence",
    "ia3, adafactor, 1, num_real_target_tokens",
    "full, adafactor, 0, average_per_sequence",
    "full, adamw, 2, average_per_sequence"
  })
  void twoRanksTrainAsOne(String method, String optimizer, int zero, String normalizer)
      throws Exception {
    String[] settings = {
      "optimizer.optim=" + optimizer,
      "optimizer.adam_epsilon=1.0e-6",
      "optimizer.learning_rate=2.0e-3",
      "training.dropout_rate=0",
      "training.loss_normalizer=" + normalizer,
      "model.adapter=" + (method.equals("mov") ? different() : null)
    };
    Path alone = trained(config(method, settings));
    AdaptConfig halves =
        config(
            method,
            and(
                settings,
                "training.per_device_train_batch_size=" + GLOBAL_BATCH / 2,
                "distributed.bucket_bytes=4096",
                "distributed.zero_stage=" + zero));
    ThreadedRuns.train(halves, 2);
    Path two = halves.checkpoints().outputDir();
    ThreadedRuns.requireSameLosses(alone, two, 1e-5);
    try (WeightSource one = model(alone);
        WeightSource other = model(two)) {
      ThreadedRuns.requireSame(one, other, 1e-5, name -> true);
    }
  }

  /** A number of batches that ranks cannot share alike; nothing is drawn in them. */
  @Test
  void heldOutPromptsAreEvaluatedAlikeOnOneRankAndOnTwo() throws Exception {
    String[] settings = {
      "data.eval_mixture=" + runs.world().examination(),
      "evaluation.eval_steps=2",
      "evaluation.per_device_eval_batch_size=3",
      "training.dropout_rate=0",
      "adapter.top_k=2",
      "adapter.load_balancing_loss_coef=0.1"
    };
    Path alone = trained(config("molora", and(settings, "training.max_steps=1")));
    assertThat(evaluated(alone, 2)).isEmpty();
    List<Double> one = evaluated(trained(config("molora", settings)), 4);
    AdaptConfig twice =
        config("molora", and(settings, "training.per_device_train_batch_size=" + GLOBAL_BATCH / 2));
    ThreadedRuns.train(twice, 2);
    List<Double> two = evaluated(twice.checkpoints().outputDir(), 4);
    assertThat(one).hasSize(1);
    // ranks balance their own rows, which moves a router a little
    assertThat(two.getFirst()).isCloseTo(one.getFirst(), withinPercentage(0.1));
  }

  private static List<Double> evaluated(Path output, int step) throws IOException {
    var losses = new ArrayList<Double>();
    for (String line : Files.readAllLines(output.resolve("metrics.jsonl"))) {
      JsonNode values = new JsonMapper().readTree(line);
      if (values.has("eval_loss") && values.get("step").asInt() == step) {
        losses.add(values.get("eval_loss").asDouble());
      }
    }
    return losses;
  }

  /** Vectors that are all alike give routers a gradient of rounding, which Adam makes large. */
  private Path different() throws IOException {
    return trained(config("mov")).resolve("model");
  }

  @ParameterizedTest
  @CsvSource({
    "lora, 3, an encoder-decoder's layers stay whole",
    "full, 2, has its state by rows and columns"
  })
  void whatRanksCannotCutIsRefusedByName(String method, int zero, String message)
      throws IOException {
    AdaptConfig config = config(method, "distributed.zero_stage=" + zero);
    assertThatThrownBy(() -> ThreadedRuns.train(config, 2))
        .cause()
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("distributed.zero_stage=" + zero + ": ")
        .hasMessageContaining(message);
  }
}
