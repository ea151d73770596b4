package io.moextend.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.config.ConfigException;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.Scheme;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RoutingFileTest {
  private static final long SEED = 8;

  @TempDir Path folder;

  private Path written(String name) {
    var mixed =
        new FeedForwardConfig.Mixed(
            24, new TreeSet<>(List.of(0, 1)), new Scheme.Moiie(4, 2, 0.01, 0.01, 0));
    Path file = folder.resolve(name);
    try (var model = new TinyMixture("cpu", mixed, SEED)) {
      RoutingStatistics routing =
          model.statistics(TinyMixture.batch(SEED, true), TinyMixture.batch(SEED + 1, false));
      var numbers = new RoutingFile(new RoutingFile.Source("sha256:aa", "pope.json"), routing);
      numbers.write(file);
      assertThat(RoutingFile.read(file)).isEqualTo(numbers);
    }
    return file;
  }

  @Test
  void whatIsWrittenIsReadAgainAndTwoRunsWriteTheSameBytes() throws IOException {
    assertThat(Files.readAllBytes(written("one.json")))
        .isEqualTo(Files.readAllBytes(written("two.json")));
  }

  @Test
  void theFileSaysWhatItHolds() throws IOException {
    JsonNode json = JsonMapper.builder().build().readTree(written("routing.json").toFile());
    assertThat(json.get("format").asText()).isEqualTo("moextend-routing-statistics-1");
    JsonNode routing = json.get("routing");
    assertThat(routing.get("scheme").asText()).isEqualTo("moiie");
    assertThat(routing.get("vision").asText()).isEqualTo("patches-before-a-patch");
    JsonNode layer = routing.get("layers").get(1);
    assertThat(layer.get("layer").asInt()).isEqualTo(1);
    assertThat(layer.get("groups").findValuesAsText("name"))
        .containsExactly("vision-intra", "inter", "text-intra");
    assertThat(layer.get("groups").findValuesAsText("tokens"))
        .containsExactly("vision", "all", "text");
    assertThat(layer.get("loads").findValuesAsText("tokens"))
        .containsExactly("all", "vision", "text");
    assertThat(layer.get("loads").get(1).get("experts").get(0).properties().stream())
        .extracting(java.util.Map.Entry::getKey)
        .containsExactly("expert", "slots", "sharePercent", "meanWeight", "firstChoicePercent");
  }

  @ParameterizedTest
  @CsvSource({
    "'\"topK\" : 2', '\"topK\" : 3', slots of all experts",
    "'\"scheme\"', '\"schema\"', 'routing.scheme: Missing'",
    "'\"visionTokens\" : 46', '\"visionTokens\" : 45', layer 0",
    "'statistics-1', 'statistics-0', 'format=moextend-routing-statistics-0'",
  })
  void aFileThatDoesNotAddUpIsRefusedByName(String old, String other, String said)
      throws IOException {
    Path file = written("routing.json");
    String text = Files.readString(file);
    assertThat(text).contains(old);
    Files.writeString(file, text.replaceFirst(java.util.regex.Pattern.quote(old), other));
    assertThatThrownBy(() -> RoutingFile.read(file))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining(said);
  }
}
