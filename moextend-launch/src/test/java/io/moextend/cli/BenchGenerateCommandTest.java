package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import org.junit.jupiter.api.Test;

class BenchGenerateCommandTest {
  private static Ran bench(String more) {
    Object[] words = ("bench generate " + more).split(" ", -1);
    return Ran.moextend(words);
  }

  @Test
  void oneLineTellsTheRatesOfPromptAndNewTokens() throws Exception {
    Ran ran =
        bench("--size 128,96,2,4,200 --prompt 9 --tokens 5 --runs 3 --threads 2 --dtype bf16");
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out().lines()).hasSize(1);
    JsonNode line = new JsonMapper().readTree(ran.out());
    assertThat(line.get("prefill_tokens_per_s").doubleValue()).isPositive();
    assertThat(line.get("decode_tokens_per_s").doubleValue()).isPositive();
    assertThat(line.get("decode_s_all")).hasSize(3);
    // 2 layers, keys and values, one key head of 64, 9 + 1 + 5 tokens, 2 bytes
    assertThat(line.get("cache_bytes").longValue()).isEqualTo(2 * 2 * 64 * 15 * 2);
  }

  @Test
  void aT5ReadsThePromptOnceAndThenIsTimedLikewise() throws Exception {
    String t5 = "--architecture t5 --size 32,48,2,4,100 --prompt 9 --tokens 5 --runs 2 --threads 2";
    Ran ran = bench(t5 + " --dtype f32 --profile");
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out()).contains("product 1 x [100, 32]").doesNotContain("product 9 x");
    JsonNode line = new JsonMapper().readTree(ran.out().lines().toList().getLast());
    assertThat(line.get("decode_tokens_per_s").doubleValue()).isPositive();
    // 2 layers, keys and values of width 32 of 9 inputs and 1 + 5 tokens, 4 bytes
    assertThat(line.get("cache_bytes").longValue()).isEqualTo(2 * 2 * 32 * 15 * 4);
    assertThat(bench("--architecture gpt").err()).contains("--architecture=gpt: known are");
    assertThat(bench("--architecture t5 --size 32,48").err()).contains("d_model,d_ff,layers");
  }

  @Test
  void aProfileNamesTheKernelsOfNewTokensAlone() {
    Ran ran = bench("--size 128,96,2,4,200 --prompt 9 --tokens 5 --runs 1 --threads 2 --profile");
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out()).contains("product 1 x [200, 128]").doesNotContain("product 9 x");
  }

  @Test
  void aWrongSizeIsRefused() {
    Ran ran = bench("--size 100,96,2,4,200");
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err()).contains("--size").contains("multiple of 64");
    assertThat(bench("--size 128,96,2").err()).contains("hidden,intermediate,layers");
    assertThat(bench("--tokens 0").err()).contains("--tokens");
  }
}
