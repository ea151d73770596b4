package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.Golden;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Machines with fewer instructions than this one, as its own are switched off. */
class IsaTest {
  @TempDir Path folder;

  @ParameterizedTest(name = "{0}, {2}")
  @CsvSource({
    "AVX512_CORE, -XX:UseAVX=3, f32, 1e-4",
    "AVX512_CORE, -XX:UseAVX=3, bf16, 2e-2",
    "AVX2, -XX:UseAVX=2, f32, 1e-4",
    "AVX2, -XX:UseAVX=2, bf16, 2e-2"
  })
  void stepsWithoutTheNewerInstructionsComeToTheSameLosses(
      String most, String vectors, String dtype, double tolerance) throws Exception {
    JsonNode lesser = losses(most, vectors, dtype);
    JsonNode plain = losses("DEFAULT", "-Da=b", dtype);
    assertThat(lesser.get("device").textValue()).contains(most.startsWith("AVX512") ? "AVX" : most);
    for (int i = 0; i < 4; i++) {
      assertThat(lesser.get("loss").get(i).doubleValue())
          .as("loss of step %d on %s", i, lesser.get("device"))
          .isCloseTo(plain.get("loss").get(i).doubleValue(), within(tolerance));
    }
  }

  private JsonNode losses(String most, String vectors, String dtype) throws Exception {
    var command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "@" + Golden.root().resolveSibling("scripts").resolve("jvm.flags"),
                vectors,
                "-Xmx512m",
                "-cp",
                System.getProperty("java.class.path"),
                "io.moextend.cli.MoExtend"));
    command.addAll(
        List.of(
            ("bench step --stage finetune --backend cpu --warm-up 0 --steps 4 --dtype " + dtype)
                .split(" ")));
    command.addAll(List.of("--size", "64,96,2,4,200,2,160"));
    Path said = folder.resolve("said");
    var builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(said.toFile());
    builder.environment().put("ONEDNN_MAX_CPU_ISA", most);
    Process process = builder.start();
    assertThat(process.waitFor(120, TimeUnit.SECONDS)).isTrue();
    List<String> lines = Files.readAllLines(said);
    assertThat(process.exitValue()).as("%s", lines).isZero();
    return new JsonMapper().readTree(lines.getLast());
  }
}
