package io.moextend.stage;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import io.moextend.adapter.PeftFolder;
import io.moextend.checkpoint.CheckpointFolder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MergeAdapterTest {
  @TempDir Path folder;

  @Test
  void theResultIsAModelOfItsOwnThatDiffersWhereTheAdapterIs() throws Exception {
    Path base = Golden.path("hf/hf_llama");
    Path output = folder.resolve("merged");
    PeftFolder.Read read = PeftFolder.open(Golden.path("peft/lora_llama"), module -> 2);
    MergeAdapter.run(base, read.config(), read.weights(), output);
    assertThat(output.resolve("config.json")).hasSameTextualContentAs(base.resolve("config.json"));
    try (var before = CheckpointFolder.open(base);
        var after = CheckpointFolder.open(output)) {
      assertThat(after.names()).isEqualTo(before.names());
      Set<String> changed = new TreeSet<>();
      for (String name : before.names()) {
        assertThat(after.tensor(name).shape()).isEqualTo(before.tensor(name).shape());
        if (after.tensor(name).bytes().mismatch(before.tensor(name).bytes()) >= 0) {
          changed.add(name.replaceAll("^model\\.layers\\.\\d+\\.", ""));
        }
      }
      assertThat(changed)
          .containsExactly(
              "mlp.down_proj.weight", "self_attn.q_proj.weight", "self_attn.v_proj.weight");
    }
    assertThat(Files.exists(folder.resolve("merged.incomplete"))).isFalse();
  }
}
