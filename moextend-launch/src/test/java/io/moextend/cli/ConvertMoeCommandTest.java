package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.checkpoint.FrozenProof.Print;
import java.nio.file.Path;
import java.util.List;
import java.util.SortedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against what the published convert_moe.py wrote. */
class ConvertMoeCommandTest {
  private static final List<String> EXPERT_FIELDS =
      List.of(
          "num_experts",
          "num_experts_per_tok",
          "vis_router_aux_loss_coef",
          "lan_router_aux_loss_coef",
          "output_vis_router_logits",
          "output_lan_router_logits");

  @TempDir Path folder;

  private Path out() {
    return folder.resolve("out");
  }

  private Converted convert(String architecture, String source, Object... more) {
    return Converted.by(architecture, Converted.golden(source), out(), more);
  }

  @ParameterizedTest
  @CsvSource({
    "phi3_moiie, moiie, src_phi3, --text-balance 0.002",
    "phi3_vanilla, vanilla-moe, src_phi3, --num-experts 4 --top-k 2 --balance 0.001",
    "phi3_routed, routed-modality-moe, src_phi3, --vision-experts 3 --text-experts 2",
    "llama_moiie, moiie, src_llama, --num-experts 4",
    "llama_moiie, moiie, src_llama, --max-shard-size 20KB"
  })
  void tensorsAndFieldsAreThoseOfThePublishedConverter(
      String published, String architecture, String source, String options) {
    Converted got = convert(architecture, source, (Object[]) options.split(" "));
    assertThat(got.tensors()).isEqualTo(Converted.published(published));
    ObjectNode wanted = Converted.config(Converted.golden(published));
    if (!architecture.startsWith("routed")) {
      wanted.put("router_jitter_noise", 0.0); // read by the published class, written by nobody
    }
    assertThat(got.config()).isEqualTo(wanted);
  }

  @Test
  void theDefaultsAreThoseOfThePaper() {
    ObjectNode config = convert("moiie", "src_phi3").config();
    assertThat(config.get("num_experts").intValue()).isEqualTo(4);
    assertThat(config.get("num_experts_per_tok").intValue()).isEqualTo(2);
    for (String modality : List.of("vis", "lan")) {
      assertThat(config.get(modality + "_router_aux_loss_coef").doubleValue()).isEqualTo(0.001);
      assertThat(config.get("output_" + modality + "_router_logits").booleanValue()).isTrue();
    }
    assertThat(config.has("moe_layers")).isFalse();
  }

  @Test
  void aSwitchThatIsTypedAsFalseIsFalse() {
    ObjectNode config =
        convert("moiie", "src_phi3", "--text-router-logits", "false", "--vision-balance", 0)
            .config();
    assertThat(config.get("output_lan_router_logits").booleanValue()).isFalse();
    assertThat(config.get("output_vis_router_logits").booleanValue()).isTrue();
    assertThat(config.get("vis_router_aux_loss_coef").doubleValue()).isZero();
  }

  @Test
  void theModalityModelHasItsExpertsInTheOddLayersWhereItsClassLooksForThem() {
    Converted got = convert("modality-moe", "src_phi3");
    assertThat(got.tensors().keySet())
        .contains(
            "model.layers.0.mlp.down_proj.weight",
            "model.layers.1.mlp.vision_expert.down_proj.weight",
            "model.layers.3.mlp.language_expert.gate_up_proj.weight")
        .noneMatch(name -> name.matches(".*layers\\.[02]\\.mlp\\..*expert.*"));
    assertThat(got.config())
        .isEqualTo(Converted.config(Converted.golden("phi3_modality_even_layers_quirk")));
  }

  @Test
  void namedLayersGiveThePublishedModalityTensorsOfTheEvenOnesAndAreWrittenDown() {
    Converted got = convert("modality-moe", "src_phi3", "--layers", "0,2");
    assertThat(got.tensors()).isEqualTo(Converted.published("phi3_modality_even_layers_quirk"));
    assertThat(got.config().get("moe_layers").toString()).isEqualTo("[0,2]");
  }

  @ParameterizedTest
  @CsvSource({"all, 4, true", "'1, 3', 2, false", "2, 1, true"})
  void layersAreWrittenDownWhereTheyAreNotTheOddOnes(String layers, int count, boolean written) {
    Converted got = convert("vanilla-moe", "src_phi3", "--layers", layers);
    assertThat(
            got.tensors().keySet().stream().filter(n -> n.endsWith(".experts.3.down_proj.weight")))
        .hasSize(count);
    assertThat(got.config().has("moe_layers")).isEqualTo(written);
    Converted back = Converted.by("dense", got.folder(), folder.resolve("back"));
    assertThat(back.tensors()).isEqualTo(new Converted(Converted.golden("src_phi3")).tensors());
    assertThat(back.config().has("moe_layers")).isFalse();
  }

  @ParameterizedTest
  @CsvSource({
    "moiie, src_phi3, bunny-mm-phi3-moe-s, BunnyMMSPhi3MoEForCausalLM, bunny-phi3, BunnyPhi3ForCausalLM",
    "vanilla-moe, src_phi3, bunny-phi3-moe, BunnyPhi3MoEForCausalLM, bunny-phi3, BunnyPhi3ForCausalLM",
    "modality-moe, src_phi3, bunny-phi3-m, BunnyPhi3MMForCausalLM, bunny-phi3, BunnyPhi3ForCausalLM",
    "routed-modality-moe, src_phi3, bunny-mm-phi3-moe, BunnyMMPhi3MoEForCausalLM, bunny-phi3, BunnyPhi3ForCausalLM",
    "moiie, src_llama, bunny-mm-llama3-moe-s, BunnyMMSLlamaMoEForCausalLM, bunny-llama, BunnyLlamaForCausalLM",
    "vanilla-moe, src_llama, bunny-llama3-moe, BunnyLlamaMoEForCausalLM, bunny-llama, BunnyLlamaForCausalLM",
    "modality-moe, src_llama, bunny-llama-m, BunnyLlamaMMForCausalLM, bunny-llama, BunnyLlamaForCausalLM"
  })
  void everyMixtureGoesBackToTheDenseModelByteForByte(
      String architecture,
      String source,
      String type,
      String name,
      String dense,
      String denseName) {
    Converted there = convert(architecture, source);
    assertClass(there.config(), type, name);
    Converted back = Converted.by("dense", there.folder(), folder.resolve("back"));
    assertThat(back.tensors()).isEqualTo(new Converted(Converted.golden(source)).tensors());
    ObjectNode wanted = Converted.config(Converted.golden(source));
    wanted.put("model_type", dense).putArray("architectures").add(denseName);
    assertThat(back.config()).isEqualTo(wanted);
    // and the dense model with vision, which it now is, can be converted again
    Converted again = Converted.by(architecture, back.folder(), folder.resolve("again"));
    assertThat(again.tensors()).isEqualTo(there.tensors());
    assertThat(again.config()).isEqualTo(there.config());
  }

  private static void assertClass(ObjectNode config, String type, String name) {
    assertThat(config.get("model_type").textValue()).isEqualTo(type);
    assertThat(config.get("architectures").toString()).isEqualTo("[\"" + name + "\"]");
  }

  @Test
  void theCollapsedModelIsThePublishedOneWithoutFieldsOfExpertsItNoLongerHas() {
    Path moiie = convert("moiie", "src_phi3").folder();
    Converted back = Converted.by("dense", moiie, folder.resolve("back"));
    assertThat(back.tensors()).isEqualTo(Converted.published("phi3_moiie_collapsed"));
    ObjectNode wanted = Converted.config(Converted.golden("phi3_moiie_collapsed"));
    EXPERT_FIELDS.forEach(wanted::remove);
    assertThat(back.config()).isEqualTo(wanted);
  }

  @ParameterizedTest
  @CsvSource({
    "moiie, '', experts.1",
    "moiie, 3, experts.3",
    "vanilla-moe, 0, experts.0",
    "modality-moe, '', language_expert",
    "modality-moe, vision, vision_expert",
    "routed-modality-moe, '', lan_experts.0",
    "routed-modality-moe, vision.2, vis_experts.2"
  })
  void theExpertThatIsAskedForStays(String architecture, String option, String kept) {
    boolean routed = !architecture.startsWith("modality");
    Object[] routers = routed ? new Object[] {"--write-routers"} : new Object[0];
    Converted mixture = convert(architecture, "src_phi3", routers);
    mixture.train();
    Object[] which = option.isEmpty() ? new Object[0] : new Object[] {"--expert", option};
    Converted dense = Converted.by("dense", mixture.folder(), folder.resolve("dense"), which);
    SortedMap<String, Print> before = mixture.tensors();
    SortedMap<String, Print> after = dense.tensors();
    assertThat(after.keySet())
        .isEqualTo(new Converted(Converted.golden("src_phi3")).tensors().keySet());
    for (String matrix : List.of("gate_up_proj", "down_proj")) {
      assertThat(after.get("model.layers.3.mlp.%s.weight".formatted(matrix)))
          .isEqualTo(before.get("model.layers.3.mlp.%s.%s.weight".formatted(kept, matrix)));
    }
    assertThat(dense.receipt().get("dropped").toString().contains("gate.weight")).isEqualTo(routed);
  }
}
