package io.moextend.config;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.config.DecoderConfig.Heads;
import io.moextend.config.DecoderConfig.Rope;
import io.moextend.config.DecoderConfig.SpecialTokens;
import io.moextend.config.RopeScaling.ByLength;
import io.moextend.config.RopeScaling.ByWavelength;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The config.json of models that people have, with the fields that matter as they are published.
 */
class PublishedDecodersTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  @TempDir Path folder;

  /** Reads it, and sees to it that it is written back as it was. */
  private DecoderConfig read(String text) throws IOException {
    Path file = Files.writeString(folder.resolve("config.json"), text);
    var config = HuggingFaceConfig.read(file);
    assertThat(config.with(config.model()).json()).isEqualTo(JSON.readTree(text));
    assertThat(HuggingFaceConfig.of(config.model()).model()).isEqualTo(config.model());
    return config.decoder();
  }

  @Test
  void phi3MiniOf4kTokens() throws IOException {
    DecoderConfig config =
        read(
            """
            {"_name_or_path": "Phi-3-mini-4k-instruct", "architectures": ["Phi3ForCausalLM"],
             "attention_dropout": 0.0,
             "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"},
             "bos_token_id": 1, "embd_pdrop": 0.0, "eos_token_id": 32000, "hidden_act": "silu",
             "hidden_size": 3072, "initializer_range": 0.02, "intermediate_size": 8192,
             "max_position_embeddings": 4096, "model_type": "phi3", "num_attention_heads": 32,
             "num_hidden_layers": 32, "num_key_value_heads": 32,
             "original_max_position_embeddings": 4096, "pad_token_id": 32000, "resid_pdrop": 0.0,
             "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 10000.0,
             "sliding_window": 2047, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
             "transformers_version": "4.40.2", "use_cache": true, "attention_bias": false,
             "vocab_size": 32064}
            """);
    assertThat(config)
        .isEqualTo(
            new DecoderConfig(
                "phi3",
                32_064,
                3072,
                32,
                new Heads(32, 32, 96),
                new Rope(10_000, 4096),
                2048, // its own key and 2047 before it
                1e-5,
                0.02,
                false,
                new FeedForwardConfig.Dense(8192),
                new SpecialTokens(1, 32_000, 32_000),
                null));
  }

  @Test
  void phi3MiniOf128kTokens() throws IOException {
    String factors = ", 1.25".repeat(47);
    DecoderConfig config =
        read(
            """
            {"architectures": ["Phi3ForCausalLM"], "attention_bias": false,
             "attention_dropout": 0.0, "bos_token_id": 1, "embd_pdrop": 0.0,
             "eos_token_id": 32000, "hidden_act": "silu", "hidden_size": 3072,
             "initializer_range": 0.02, "intermediate_size": 8192,
             "max_position_embeddings": 131072, "model_type": "phi3", "num_attention_heads": 32,
             "num_hidden_layers": 32, "num_key_value_heads": 32,
             "original_max_position_embeddings": 4096, "pad_token_id": 32000, "resid_pdrop": 0.0,
             "rms_norm_eps": 1e-05,
             "rope_scaling": {"long_factor": [1.0700000524520874%s], "short_factor": [1.1%s],
               "type": "su"},
             "rope_theta": 10000.0, "sliding_window": 262144, "tie_word_embeddings": false,
             "torch_dtype": "bfloat16", "vocab_size": 32064}
            """
                .formatted(factors, factors));
    assertThat(config.window()).isEqualTo(262_145);
    assertThat(config.rope().maxPositions()).isEqualTo(131_072);
    assertThat(config.rope().sameAnglesUpTo()).isEqualTo(4096);
    var scaling = (ByLength) config.rope().scaling();
    assertThat(scaling.form()).isEqualTo(ByLength.Form.LONGROPE);
    assertThat(scaling.longFactors()).hasSize(48).startsWith(1.0700000524520874);
    assertThat(scaling.shortFactors()).hasSize(48).startsWith(1.1);
    // sqrt(1 + ln 32 / ln 4096), as the model's card says
    assertThat(scaling.attentionFactor(131_072))
        .isEqualTo(1.1902380714238083, org.assertj.core.api.Assertions.within(1e-15));
  }

  private static final String LLAMA =
      """
      {"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
       "bos_token_id": 128000, "eos_token_id": %s, "hidden_act": "silu", "hidden_size": 4096,
       "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": %d,
       %s "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32,
       "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
       "rope_scaling": %s, "rope_theta": 500000.0, "tie_word_embeddings": false,
       "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 128256}
      """;

  @Test
  void llama3Of8BillionWeights() throws IOException {
    assertThat(read(LLAMA.formatted("128001", 8192, "", "null")))
        .isEqualTo(
            new DecoderConfig(
                "llama",
                128_256,
                4096,
                32,
                new Heads(32, 8, 128),
                new Rope(5e5, 8192),
                0,
                1e-5,
                0.02,
                false,
                new FeedForwardConfig.Dense(14_336),
                new SpecialTokens(128_000, 128_001, null),
                null));
  }

  @Test
  void llama31StretchesLongWavesAndItsAnswersEndInThreeWays() throws IOException {
    DecoderConfig config =
        read(
            LLAMA.formatted(
                "[128001, 128008, 128009]",
                131_072,
                "\"mlp_bias\": false,",
                """
                {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                 "original_max_position_embeddings": 8192, "rope_type": "llama3"}
                """));
    assertThat(config.rope()).isEqualTo(new Rope(5e5, 131_072, new ByWavelength(8, 1, 4, 8192)));
    assertThat(config.tokens())
        .isEqualTo(new SpecialTokens(128_000, 128_001, null, List.of(128_008, 128_009)));
    assertThat(config.tokens().end(128_009)).isTrue();
    assertThat(config.tokens().end(128_000)).isFalse();
  }

  private static final String MISTRAL =
      """
      {"architectures": ["MistralForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 1,
       "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
       "intermediate_size": 14336, "max_position_embeddings": 32768, "model_type": "mistral",
       "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
       "rms_norm_eps": 1e-05, "rope_theta": %s, %s "tie_word_embeddings": false,
       "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": %d}
      """;

  @Test
  void mistralHasAWindowUnlessItSaysItHasNone() throws IOException {
    DecoderConfig first = read(MISTRAL.formatted("10000.0", "\"sliding_window\": 4096,", 32_000));
    assertThat(first.window()).isEqualTo(4096);
    assertThat(first.type()).isEqualTo(DecoderType.MISTRAL);
    DecoderConfig third = read(MISTRAL.formatted("1000000.0", "\"sliding_window\": null,", 32_768));
    assertThat(third.window()).isZero();
    assertThat(third.rope().theta()).isEqualTo(1e6);
    Path silent =
        Files.writeString(folder.resolve("config.json"), MISTRAL.formatted("10000.0", "", 32_000));
    assertThat(HuggingFaceConfig.read(silent).decoder().window()).isEqualTo(4096);
  }

  @Test
  void qwen2Of7BillionWeights() throws IOException {
    DecoderConfig config =
        read(
            """
            {"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0,
             "bos_token_id": 151643, "eos_token_id": 151643, "hidden_act": "silu",
             "hidden_size": 3584, "initializer_range": 0.02, "intermediate_size": 18944,
             "max_position_embeddings": 131072, "max_window_layers": 28, "model_type": "qwen2",
             "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4,
             "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 131072,
             "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true,
             "use_sliding_window": false, "vocab_size": 152064}
            """);
    assertThat(config.window()).isZero();
    assertThat(config.heads()).isEqualTo(new Heads(28, 4, 128));
    assertThat(config.type().family().biased()).isTrue();
  }

  @Test
  void bunnyKeepsItsImagesWithoutIds() throws IOException {
    DecoderConfig config =
        read(
            """
            {"architectures": ["BunnyPhi3ForCausalLM"], "bos_token_id": 1, "eos_token_id": 95,
             "hidden_act": "silu", "hidden_size": 32, "image_aspect_ratio": "pad",
             "initializer_range": 0.02, "intermediate_size": 48, "max_position_embeddings": 128,
             "mm_hidden_size": 1024, "mm_projector_type": "mlp2x_gelu",
             "mm_vision_tower": "openai/clip-vit-large-patch14-336", "model_type": "bunny-phi3",
             "num_attention_heads": 4, "num_hidden_layers": 4, "num_key_value_heads": 4,
             "pad_token_id": 95, "rms_norm_eps": 1e-05, "rope_scaling": null,
             "rope_theta": 10000.0, "sliding_window": null, "tokenizer_model_max_length": 64,
             "use_mm_proj": true, "use_s2": false, "vocab_size": 96}
            """);
    assertThat(config.vision())
        .isEqualTo(
            new VisionConfig(
                TowerConfig.CLIP_LARGE_336,
                "mlp2x_gelu",
                -2,
                VisionConfig.PLACEHOLDER,
                List.of(),
                24,
                true));
    assertThat(config.type()).isEqualTo(DecoderType.BUNNY_PHI3);
    assertThat(config.tokens().pad()).isEqualTo(95);
  }

  @Test
  void factorsAreTheRecordsOwn() {
    List<Double> ones = Collections.nCopies(4, 1.0);
    var scaling = new ByLength(ByLength.Form.YARN, 32, ones, ones);
    assertThat(scaling.attentionFactor(32)).isEqualTo(1);
    assertThat(scaling.attentionFactor(320)).isEqualTo(0.1 * Math.log(10) + 1);
  }
}
