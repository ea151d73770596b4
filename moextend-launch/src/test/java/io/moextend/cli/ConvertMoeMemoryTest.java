package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.array.DType;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** A conversion takes no more memory for a model that is larger than what it may have. */
@EnabledOnOs(OS.LINUX)
class ConvertMoeMemoryTest {
  private static final long MB = 1_000_000;
  private static final long SHARD = 32 * MB;
  private static final int HIDDEN = 1024;
  private static final int WIDTH = 3584;

  @TempDir Path folder;

  @Test
  void aModelLargerThanHeapAndShardIsConvertedInTheMemoryThatATinyOneTakes() throws Exception {
    Path large = large();
    long small = peak("moiie", Converted.golden("src_phi3"), folder.resolve("small"));
    Path mixture = folder.resolve("mixture");
    assertThat(peak("moiie", large, mixture) - small).isLessThan(SHARD);
    long bytes = bytes(mixture);
    assertThat(bytes).isGreaterThan(4 * SHARD).isGreaterThan(2 * 64 * MB);
    assertThat(peak("dense", mixture, folder.resolve("back")) - small).isLessThan(SHARD);
    assertThat(new Converted(folder.resolve("back")).tensors())
        .isEqualTo(new Converted(large).tensors());
  }

  private static long bytes(Path model) {
    try (WeightSource weights = CheckpointFolder.open(model)) {
      return TensorStream.all(weights).stream().mapToLong(TensorStream::bytes).sum();
    }
  }

  /** Four layers of bf16 noise in shards. */
  private Path large() throws IOException {
    Path to = Files.createDirectories(folder.resolve("large"));
    ObjectNode config = Converted.config(Converted.golden("src_phi3"));
    config.put("hidden_size", HIDDEN).put("intermediate_size", WIDTH);
    Converted.JSON.writeValue(to.resolve("config.json").toFile(), config);
    Collection<TensorStream> tensors = new ArrayList<>();
    byte[] noise = new byte[2 * WIDTH * HIDDEN * 2];
    new Random(3).nextBytes(noise);
    for (int layer = 0; layer < 4; layer++) {
      String mlp = "model.layers." + layer + ".mlp.";
      tensors.add(tensor(mlp + "gate_up_proj.weight", 2 * WIDTH, HIDDEN, noise, layer));
      tensors.add(tensor(mlp + "down_proj.weight", HIDDEN, WIDTH, noise, layer));
    }
    SafetensorsWriter.writeModel(to, tensors, SHARD);
    return to;
  }

  private static TensorStream tensor(String name, int out, int in, byte[] noise, int layer) {
    byte[] own = Arrays.copyOf(noise, 2 * out * in);
    own[0] = (byte) layer;
    return TensorStream.lazily(
        name, DType.BF16, new long[] {out, in}, () -> MemorySegment.ofArray(own));
  }

  /** Most resident bytes of a conversion with a heap of 64 MB, mapped files counted. */
  private static long peak(String architecture, Path model, Path output) throws Exception {
    var command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-Xmx64m",
                "-XX:MaxDirectMemorySize=16m",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                MeasuredConversion.class.getName()));
    command.addAll(
        List.of("convert-moe", "--architecture", architecture, "--max-shard-size", "32MB"));
    command.addAll(List.of("--check-tokens", "0")); // which takes a whole layer
    command.addAll(List.of("--model", model.toString(), "--output", output.toString()));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(said).isZero();
    Matcher peak = Pattern.compile("peak (\\d+)").matcher(said);
    assertThat(peak.find()).as(said).isTrue();
    return Long.parseLong(peak.group(1));
  }
}
