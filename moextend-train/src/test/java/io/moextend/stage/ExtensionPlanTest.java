package io.moextend.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExtensionPlanTest {
  @TempDir Path folder;
  private Path file;

  @BeforeEach
  void nameTheFile() {
    file = folder.resolve("extension.json");
  }

  @Test
  void aWrittenPlanIsReadBackEqual() {
    ExtensionPlan plan = plan();
    plan.write(file);
    assertThat(ExtensionPlan.read(file)).isEqualTo(plan);
    assertThat(folder).isDirectoryContaining(p -> p.equals(file));
    assertThat(folder.resolve("extension.json.part")).doesNotExist();
  }

  @Test
  void theModeStandsInTheFileByItsName() throws IOException {
    plan().write(file);
    assertThat(Files.readString(file)).contains("\"mode\" : \"as-published\"");
  }

  @Test
  void aPlanOfADistributionNamesItsLayersDonorsAndTies() {
    double[][] before = {{0.5, 0.5}, {0.1, 0.9}, {0.7, 0.3}};
    double[][] after = {{0.5, 0.5}, {0.2, 0.8}, {0.6, 0.4}};
    ExtensionPlan plan =
        ExpertDistribution.between(before, after, CountingMode.PAPER).plan(source());
    assertThat(plan.addLayer()).containsExactly(1);
    assertThat(plan.extended()).containsExactly(new ExtensionPlan.Extended(1, 1));
    assertThat(plan.tiedAtCut()).containsExactly(1, 2);
    assertThat(plan.ranking()).hasSize(3);
    plan.write(file);
    assertThat(ExtensionPlan.read(file)).isEqualTo(plan);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"layer":2,"donor":3}     | {"layer":3,"donor":3}  | extended[1].layer=3: the plan is for 3 layers; write 0 to 2
          {"layer":2,"donor":3}     | {"layer":2,"donor":8}  | extended[1].donor=8: the plan is for 8 experts; write 0 to 7
          {"layer":2,"donor":3}     | {"layer":2,"donor":-1} | extended[1].donor=-1: the plan is for 8 experts; write 0 to 7
          {"layer":2,"donor":3}     | {"layer":0,"donor":3}  | extended[1].layer=0: the layer is there twice; a layer gets one new expert
          {"layer":2,"donor":3}     | {"layer":2.5,"donor":3} | extended[1].layer: Cannot coerce
          {"layer":2,"donor":3}     | {"layer":"2","donor":3} | extended[1].layer: Cannot coerce
          {"layer":2,"donor":3}     | {"layer":2,"donor":3,"doner":3} | extended[1].doner: there is no such field; known ones are [layer, donor]
          {"layer":2,"donor":3}     | {"layer":2}            | extended[1].donor: Missing creator property
          {"layer":2,"donor":3}     | {"layer":2,"donor":null} | extended[1].donor
          {"layer":2,"donor":3}     | null                   | extended
          {"layer":0,"donor":7},{"layer":2,"donor":3} | {"layer":2,"donor":7},{"layer":1,"donor":3} | extended[1].layer=1: write the layers in ascending order; before is 2
          "as-published"            | "published"            | mode: Cannot deserialize
          "as-published"            | 1                      | mode
          "samples":10              | "samples":-1           | source.samples=-1: a count is never negative
          "data":"train.json"       | "data":"a/train.json"  | source.data=a/train.json: write the file's name without its folder
          extension-plan-1          | extension-plan-9       | format=moextend-extension-plan-9: this version reads moextend-extension-plan-1
          "layers":3                | "layers":3,"layers":3  | Duplicate
          """)
  void aFaultyFieldIsNamedWithTheFile(String from, String to, String message) throws IOException {
    String text = compact(plan());
    assertThat(text).contains(from);
    Files.writeString(file, text.replace(from, to));
    assertThatThrownBy(() -> ExtensionPlan.read(file))
        .isInstanceOf(ConfigException.class)
        .hasMessageStartingWith(file.toString())
        .hasMessageContaining(message);
  }

  @Test
  void whatIsNoJsonOrNotThereIsSaidWithTheFile() throws IOException {
    assertThatThrownBy(() -> ExtensionPlan.read(file))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("extension.json: cannot be read");
    Files.writeString(file, "{\"format\": ");
    assertThatThrownBy(() -> ExtensionPlan.read(file))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("extension.json");
    Files.writeString(file, compact(plan()) + "{}");
    assertThatThrownBy(() -> ExtensionPlan.read(file)).isInstanceOf(ConfigException.class);
  }

  @Test
  void aPlanByHandMayLeaveTheRankingOutButNotHalfOfIt() {
    ExtensionPlan p = plan();
    new ExtensionPlan(p.format(), p.mode(), 3, 8, p.extended(), List.of(), List.of(), p.source());
    assertThatThrownBy(
            () ->
                new ExtensionPlan(
                    p.format(),
                    p.mode(),
                    3,
                    8,
                    p.extended(),
                    p.ranking().subList(0, 2),
                    List.of(),
                    p.source()))
        .hasMessage("ranking.length=2: list all 3 layers or none");
  }

  private String compact(ExtensionPlan plan) throws IOException {
    plan.write(file);
    return Files.readString(file).replaceAll("\\s+", "");
  }

  private static ExtensionPlan plan() {
    return new ExtensionPlan(
        ExtensionPlan.FORMAT,
        CountingMode.AS_PUBLISHED,
        3,
        8,
        List.of(new ExtensionPlan.Extended(0, 7), new ExtensionPlan.Extended(2, 3)),
        List.of(
            new ExtensionPlan.Ranked(0, 0.0143, 7, 0.35),
            new ExtensionPlan.Ranked(2, 0.0106, 6, 0.32),
            new ExtensionPlan.Ranked(1, 0.0087, 6, 0.33)),
        List.of(),
        source());
  }

  private static ExtensionPlan.Source source() {
    return new ExtensionPlan.Source("sha256:aa", "sha256:bb", "train.json", 10, 1560);
  }
}
