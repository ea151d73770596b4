package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands of the README, one after the other, on the reference's tiny model and data. */
class ThreeStagesTest {
  @TempDir Path runs;

  @Test
  void aModelIsAlignedMeasuredExtendedTrainedAndProvedUnmovedElsewhere() {
    train("alignment", Golden.path("moextend/vision_align"));
    train("extension", runs.resolve("alignment/model"));
    done(
        "expert-distribution",
        "--before=" + runs.resolve("alignment/model"),
        "--after=" + runs.resolve("extension/model"),
        "--data=" + Golden.path("moextend/data/train.json"),
        "--output=" + runs.resolve("extension.json"));
    done(
        "init-expert",
        "--model=" + runs.resolve("extension/model"),
        "--plan=" + runs.resolve("extension.json"),
        "--output=" + runs.resolve("extended"));
    train("finetune", runs.resolve("extended"));
    done("verify", "--model=" + runs.resolve("finetune/model"));
    // the projector was trained by two stages
    assertThat(
            MoExtend.run(
                "verify",
                "--model=" + runs.resolve("finetune/model"),
                "--proof=" + runs.resolve("extension/frozen.json")))
        .isEqualTo(3);
    // what a checkpoint holds lies over its base
    done(
        "verify",
        "--model=" + runs.resolve("finetune/checkpoint-2"),
        "--base=" + runs.resolve("extended"),
        "--proof=" + runs.resolve("finetune/frozen.json"));
  }

  private void train(String stage, Path base) {
    var words = new ArrayList<>(List.of("train", "--quiet", "--stage=" + stage));
    words.add("--config=" + Golden.root().resolveSibling("configs/tiny/" + stage + ".yaml"));
    for (String field :
        List.of(
            "model.base=" + base,
            "model.vision_tower=null",
            "model.tokenizer=" + Golden.path("moextend/tokenizer_tiny"),
            "data.train_files=[" + Golden.path("moextend/data/train.json") + "]",
            "data.image_root=" + Golden.path("moextend/data"),
            "data.max_length=112",
            "training.max_steps=2",
            "checkpoints.output_dir=" + runs.resolve(stage))) {
      words.add("--set=" + field);
    }
    done(words.toArray(String[]::new));
    for (String left : List.of("config.yaml", "metrics.jsonl", "report.html", "frozen.json")) {
      assertThat(runs.resolve(stage).resolve(left)).isNotEmptyFile();
    }
  }

  private static void done(String... words) {
    assertThat(MoExtend.run(words)).as(String.join(" ", words)).isZero();
  }
}
