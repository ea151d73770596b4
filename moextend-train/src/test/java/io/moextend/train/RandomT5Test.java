package io.moextend.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.model.OpenT5;
import io.moextend.model.ParameterChoice;
import io.moextend.model.T5;
import io.moextend.model.T5Batch;
import io.moextend.model.T5Loss;
import io.moextend.nn.Sites;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RandomT5Test {
  @TempDir Path folder;

  @Test
  void aRandomT5IsAFolderThatOpensAndFindsEveryWordAsLikely() {
    var config = T5Config.v11(60, 32, 8, 4, 48, 2, 2);
    Path made = folder.resolve("t5");
    try (Backend backend = Backends.open("cpu", new Options(2, 0))) {
      RandomModel.write(backend, HuggingFaceConfig.of(config), DType.BF16, 5, List.of(), made);
      try (OpenT5 opened =
              OpenT5.of(
                  CheckpointFolder.open(made),
                  HuggingFaceConfig.read(made).t5(),
                  backend,
                  DType.F32,
                  ParameterChoice.NONE,
                  Sites.NONE);
          Arena arena = backend.arena("pass")) {
        assertThat(opened.model().config()).isEqualTo(config);
        var batch = T5Batch.plain(2, new int[] {5, 6, 7, 8}, new int[] {9, 1, 11, 1}, 0);
        Tape tape = Tape.off(backend, arena);
        var output = opened.model().forward(tape, batch, T5.Pass.PLAIN);
        for (double score : T5Loss.scores(tape, opened.model(), output.decoder(), batch)) {
          assertThat(score / 2).isBetween(-Math.log(60) - 2, -Math.log(60) + 2);
        }
      }
    }
  }
}
