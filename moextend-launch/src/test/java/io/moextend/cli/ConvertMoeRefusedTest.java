package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What cannot be converted ends with exit code 2 and one line that names it; nothing is left. */
class ConvertMoeRefusedTest {
  @TempDir Path folder;
  private Path source = Path.of("");
  private Path out = Path.of("");

  @BeforeEach
  void copySource() {
    source = Converted.source("src_phi3", folder.resolve("source"));
    out = folder.resolve("out");
  }

  private void refused(Ran ran, Object... named) {
    assertThat(ran.code()).as(ran.out() + ran.err()).isEqualTo(2);
    for (Object part : named) {
      assertThat(ran.err()).contains(part.toString());
    }
    assertThat(ran.err()).startsWith("moextend: ").doesNotContain("\tat ");
    assertThat(out).doesNotExist();
    assertThat(folder.resolve("out.incomplete")).doesNotExist();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "moiie | --num-experts 6 | --num-experts=6: | multiple of 4",
        "moiie | --num-experts 0 | --num-experts=0: | give 1 to 1024",
        "moiie | --num-experts 2000000000 | --num-experts=2000000000: | give 1 to 1024",
        "moiie | --top-k 4 | --top-k=4: | sees three quarters; give 1 to 3",
        "moiie | --top-k 0 | --top-k=0: | give 1 to 3",
        "vanilla-moe | --num-experts 3 --top-k 4 | --top-k=4: | give 1 to 3",
        "routed-modality-moe | --text-experts 1 | --top-k=2: | give 1 to 1",
        "routed-modality-moe | --vision-experts 0 | --vision-experts=0: | give 1 to",
        "moiie | --vision-balance -1 | --vision-balance=-1.0: | at least 0",
        "moiie | --text-balance NaN | --text-balance=NaN: | at least 0",
        "moiie | --balance 0.1 | --balance | --architecture moiie has none; it takes [--layers,",
        "modality-moe | --num-experts 2 | --num-experts=[2]: | modality-moe has none",
        "modality-moe | --write-routers | --write-routers | modality-moe has none",
        "dense | --layers all | --layers=[all]: | dense has none; it takes [--expert]",
        "moiie | --expert 1 | --expert=[1]: | moiie has none",
        "moiie | --seed 3 | --seed=3: | --write-routers",
        "moiie | --layers 1,4 | --layers=1,4: | there is no layer 4; the model has 0 to 3",
        "moiie | --layers 1,1 | --layers=1,1: | name layer 1 once",
        "moiie | --layers even | --layers=even: | write odd, all, or numbers",
        "moiie | --layers -1 | --layers | ",
        "moiie | --max-shard-size 2TB | --max-shard-size=2TB: | such as 2GB",
        "moiie | --max-shard-size 0 | --max-shard-size=0: | such as 2GB",
        "switch-moe | --top-k 1 | --architecture | vanilla-moe",
        "dense | --expert 1 | model_type=phi3: | is dense already"
      })
  void optionsThatDoNotFit(
      String architecture, String options, String named, @Nullable String mend) {
    refused(
        Converted.run(architecture, source, out, (Object[]) options.split(" ")),
        named,
        mend == null ? "" : mend);
  }

  @Test
  void aMixtureThatWasNeverPublishedForLlama() {
    refused(
        Converted.run("routed-modality-moe", Converted.golden("src_llama"), out),
        "--architecture=routed-modality-moe",
        "never published for llama");
  }

  @Test
  void aModelThatIsConvertedAlready() {
    Path moiie = Converted.by("moiie", source, folder.resolve("moiie")).folder();
    refused(
        Converted.run("vanilla-moe", moiie, out),
        moiie.resolve("config.json"),
        "model_type=bunny-mm-phi3-moe-s",
        "make it dense first");
  }

  @ParameterizedTest
  @CsvSource({
    "moiie, 4, '[0, 1, 2, 3]'",
    "vanilla-moe, text, '[0, 1, 2, 3]'",
    "modality-moe, 0, '[text, vision]'",
    "routed-modality-moe, text, 'text.0, text.1'"
  })
  void anExpertThatTheModelDoesNotHave(String architecture, String expert, String known) {
    Path moe = Converted.by(architecture, source, folder.resolve("moe")).folder();
    refused(Converted.run("dense", moe, out, "--expert", expert), "--expert=" + expert, known);
  }

  @Test
  void anOutputThatIsThere() throws IOException {
    Files.createDirectories(out);
    Ran ran = Converted.run("moiie", source, out);
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err()).contains("--output=" + out, "is there already");
    assertThat(out).isEmptyDirectory();
  }

  @Test
  void aModelThatIsNotThere() {
    refused(Converted.run("moiie", folder.resolve("nowhere"), out), folder.resolve("nowhere"));
  }

  private void config(Consumer<ObjectNode> change) throws IOException {
    ObjectNode config = Converted.config(source);
    change.accept(config);
    Converted.JSON.writeValue(source.resolve("config.json").toFile(), config);
  }

  @Test
  void aConfigOfAnotherModelOrNone() throws IOException {
    config(c -> c.put("model_type", "mixtral"));
    refused(
        Converted.run("moiie", source, out), "config.json: model_type=\"mixtral\"", "phi3, llama");
    config(c -> c.remove("model_type"));
    refused(Converted.run("moiie", source, out), "model_type=absent");
    config(c -> c.put("model_type", "phi3").put("hidden_size", "big"));
    refused(Converted.run("moiie", source, out), "config.json: hidden_size=\"big\"");
    config(c -> c.put("hidden_size", 16).put("num_hidden_layers", 3));
    refused(Converted.run("moiie", source, out), "model.layers.3.mlp.", "has 3 layers");
    config(c -> c.put("num_hidden_layers", 5));
    refused(
        Converted.run("moiie", source, out), "model.layers.4.mlp.gate_up_proj.weight", "missing");
    config(c -> c.put("num_hidden_layers", 4).put("intermediate_size", 23));
    refused(
        Converted.run("moiie", source, out),
        "layers.1.mlp.gate_up_proj.weight",
        "[48, 16]",
        "[46, 16]");
    config(c -> c.put("intermediate_size", 24).put("initializer_range", 0));
    refused(Converted.run("moiie", source, out, "--write-routers"), "initializer_range=0");
    Files.delete(source.resolve("config.json"));
    refused(Converted.run("moiie", source, out), "config.json", "cannot be read");
  }

  @Test
  void weightsOfAnotherFamily() throws IOException {
    config(c -> c.put("model_type", "llama"));
    refused(Converted.run("moiie", source, out), "layers.0.mlp.gate_proj.weight", "is missing");
  }

  @Test
  void aNetworkThatIsMissingOrHasAPartTooMany() {
    String down = "model.layers.3.mlp.down_proj.weight";
    Converted.rewrite(source, t -> t.name().equals(down) ? List.of() : List.of(t));
    refused(Converted.run("moiie", source, out), source, down, "is missing");
    Path other = Converted.source("src_phi3", folder.resolve("other"));
    Converted.add(other, List.of("model.layers.2.mlp.down_proj.bias"));
    refused(Converted.run("moiie", other, out), "layers.2.mlp.down_proj.bias", "is no part");
  }

  @Test
  void aMixtureWithoutAllItsExperts() {
    Path moe = Converted.by("moiie", source, folder.resolve("moe")).folder();
    Converted.rewrite(moe, t -> t.name().contains("3.mlp.experts.2.down") ? List.of() : List.of(t));
    refused(
        Converted.run("dense", moe, out),
        "model.layers.3.mlp.experts.2.down_proj.weight",
        "is missing");
  }

  @ParameterizedTest
  @CsvSource({"'[1, 9]'", "'[1, 1]'", "3", "'[\"a\"]'"})
  void layersOfAMixtureThatAreNone(String layers) throws IOException {
    source = Converted.by("moiie", source, folder.resolve("moe")).folder();
    var list = Converted.JSON.readTree(layers);
    config(c -> c.set("moe_layers", list));
    refused(Converted.run("dense", source, out), "moe_layers=", "between 0 and 3");
  }

  @Test
  void aShardThatIsMissing() throws IOException {
    Path llama = Converted.source("src_llama", folder.resolve("llama"));
    Path shard = llama.resolve("model-00002-of-00002.safetensors");
    Files.delete(shard);
    refused(Converted.run("moiie", llama, out), "lm_head.weight", shard, "is missing");
  }

  @Test
  void aFileThatWasCutOff() throws IOException {
    Path file = source.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(bytes, bytes.length - 4));
    refused(Converted.run("moiie", source, out), file);
  }
}
