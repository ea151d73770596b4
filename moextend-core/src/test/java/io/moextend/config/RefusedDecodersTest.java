package io.moextend.config;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What would change a dense model's numbers and is not built. */
class RefusedDecodersTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          hf_phi3 | resid_pdrop | 0.1 | only 0.0 is supported
          hf_phi3 | embd_pdrop | 0.1 | only 0.0 is supported
          hf_phi3 | partial_rotary_factor | 0.75 | only 1.0 is supported
          hf_phi3 | sliding_window | 0 | at least 1
          hf_phi3 | hidden_act | "gelu" | only "silu" is supported
          hf_phi3 | quantization_config | {"bits":4} | quantized weights are not read
          hf_phi3 | rope_scaling | {"type":"linear","factor":2} | only "default", "su", "longrope" and "yarn"
          hf_phi3 | rope_scaling | {"type":"su","short_factor":[1,1,1,1]} | long_factor is missing
          hf_phi3 | rope_scaling | {"type":"su","short_factor":[1,1,1],"long_factor":[1,1,1,1]} | needs 4 factors
          hf_phi3 | rope_scaling | {"type":"su","short_factor":[1,1,1,0],"long_factor":[1,1,1,1]} | numbers above 0
          hf_phi3 | rope_scaling | {"type":"su","short_factor":1,"long_factor":[1,1,1,1]} | numbers above 0
          hf_phi3 | rope_scaling | {"type":"longrope","short_factor":[1,1,1,1],"long_factor":[1,1,1,1],"short_mscale":1.2} | is not supported here
          hf_phi3 | rope_scaling | {"type":"longrope","short_factor":[1,1,1,1],"long_factor":[1,1,1,1],"attention_factor":1.2} | is not supported here
          hf_phi3 | rope_scaling | ["su"] | object in braces
          hf_phi3_longrope | rope_parameters | {"rope_theta":1e4,"rope_type":"longrope","partial_rotary_factor":0.5} | only 1.0 is supported
          hf_llama | rope_scaling | {"type":"linear","factor":2} | only "default" and "llama3"
          hf_llama | rope_scaling | {"rope_type":"llama3","factor":8} | low_freq_factor is missing
          hf_llama | rope_scaling | {"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4,"original_max_position_embeddings":8} | must be above low_freq_factor=4.0
          hf_llama | attention_bias | true | only false is supported
          hf_llama | mlp_bias | true | only false is supported
          hf_mistral | sliding_window | 0 | at least 1
          hf_mistral | rope_parameters | {"rope_theta":1e4,"rope_type":"yarn"} | only "default" is supported
          hf_mistral | num_key_value_heads | null | num_key_value_heads is missing
          hf_qwen2 | use_sliding_window | true | only false is supported
          hf_qwen2 | layer_types | ["full_attention","sliding_attention"] | must be "full_attention"
          hf_qwen2 | use_mrope | true | only false is supported
          """)
  void aValueThatCannotBeUsedIsRefusedWithFileAndField(
      String model, String field, String value, String mend) throws IOException {
    ObjectNode json =
        (ObjectNode) JSON.readTree(Golden.path("hf/" + model + "/config.json").toFile());
    json.set(field, JSON.readTree(value));
    Path file = Files.writeString(folder.resolve("config.json"), json.toString());
    assertThatThrownBy(() -> HuggingFaceConfig.read(file))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("config.json: ")
        .hasMessageContaining(mend);
  }
}
