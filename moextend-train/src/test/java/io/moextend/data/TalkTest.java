package io.moextend.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig.SpecialTokens;
import io.moextend.config.DecoderType;
import io.moextend.text.Part;
import io.moextend.text.SegmentPrefix;
import io.moextend.text.Tokenizer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class TalkTest {
  @Test
  void aModelIsSpokenToAsItWasPublished() {
    Map<String, String> keys =
        Arrays.stream(DecoderType.values())
            .collect(
                Collectors.toMap(
                    DecoderType::modelType, type -> Talk.named(Talk.AUTO, type).key()));
    assertThat(keys)
        .containsExactlyInAnyOrderEntriesOf(
            Map.ofEntries(
                Map.entry("mixtral", "instruct"),
                Map.entry("llama", "instruct"),
                Map.entry("mistral", "instruct"),
                Map.entry("qwen2", "instruct"),
                Map.entry("phi3", "instruct"),
                Map.entry("bunny-phi3", "phi3"),
                Map.entry("bunny-llama", "llama"),
                Map.entry("bunny-mm-phi3-moe-s", "phi3"),
                Map.entry("bunny-mm-llama3-moe-s", "llama"),
                Map.entry("bunny-phi3-moe", "phi3"),
                Map.entry("bunny-llama3-moe", "llama"),
                Map.entry("bunny-phi3-m", "phi3"),
                Map.entry("bunny-llama-m", "llama"),
                Map.entry("bunny-mm-phi3-moe", "phi3")));
  }

  @Test
  void whatTheUserNamesCounts() {
    assertThat(Talk.named("instruct", DecoderType.MOIIE_PHI3).key()).isEqualTo("instruct");
    assertThat(Talk.named("plain", DecoderType.BUNNY_PHI3).key()).isEqualTo("plain");
    assertThat(Talk.named("phi3", DecoderType.MIXTRAL).key()).isEqualTo("phi3");
    assertThat(Talk.named("default", DecoderType.MIXTRAL).key()).isEqualTo("bunny");
    assertThatThrownBy(() -> Talk.named("bnuny", DecoderType.MIXTRAL))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("conversation_template=bnuny: known are auto, instruct, default");
  }

  @Test
  void aTokenizerIsOpenedAsTheTemplateNeedsIt() {
    try (Tokenizer marked =
            Talk.named("instruct", DecoderType.MIXTRAL)
                .open(Golden.path("moiie/tokenizers/tok_phi3"));
        Tokenizer plain =
            Talk.named("auto", DecoderType.BUNNY_PHI3)
                .open(Golden.path("moiie/tokenizers/tok_phi3"))) {
      assertThat(marked.prefix()).isEqualTo(SegmentPrefix.LEGACY);
      assertThat(plain.prefix()).isEqualTo(SegmentPrefix.AS_FILE);
    }
  }

  @Test
  void anAnswerEndsAtTheSignOfItsTemplate() {
    SpecialTokens tokens = new SpecialTokens(1, 7, null, List.of(9));
    try (Tokenizer llama = GoldenTalk.tokenizer("tok_llama3");
        Tokenizer phi3 = GoldenTalk.tokenizer("tok_phi3")) {
      assertThat(ends("llama", llama, tokens)).containsExactly(7, 9, 401);
      assertThat(ends("llama3", llama, tokens)).containsExactly(7, 9, 401, 404);
      assertThat(ends("phi3", phi3, tokens)).containsExactly(7, 9, 440);
      // </s> is behind an answer of this template, whatever the tokenizer ends with
      assertThat(ends("vicuna_v1", phi3, tokens)).containsExactly(2, 7, 9, 440);
      int line = 3 + '\n'; // the byte's own token
      assertThat(phi3.decode(new int[] {line})).isEqualTo("\n");
      assertThat(ends("plain", phi3, tokens)).containsExactly(7, 9, line, 440);
    }
  }

  private static List<Integer> ends(String key, Tokenizer tokenizer, SpecialTokens tokens) {
    IntPredicate end = Talk.named(key, DecoderType.BUNNY_PHI3).answerEnds(tokenizer, tokens);
    return IntStream.range(0, tokenizer.vocabularySize()).filter(end).boxed().toList();
  }

  @Test
  void theFirstTurnIsTheFirstQuestionInTheTemplate() {
    var turns =
        List.of(
            new Sample.Turn(Sample.Role.USER, List.of(new Part.Words("the tin"))),
            new Sample.Turn(Sample.Role.ASSISTANT, List.of(new Part.Words("red"))),
            new Sample.Turn(Sample.Role.USER, List.of(new Part.Words("and in it?"))));
    var sample = new Sample("talk.json", 1, "", turns);
    var first = new Sample("talk.json", 1, "", turns.subList(0, 1));
    Talk talk = Talk.named("auto", DecoderType.MOIIE_PHI3);
    try (Tokenizer tokenizer = GoldenTalk.tokenizer("tok_phi3")) {
      PromptEncoder prompts = talk.prompts(tokenizer, null, 500);
      assertThat(prompts.firstTurn(sample).ids()).isEqualTo(prompts.prompt(first).ids());
      assertThat(prompts.prompt(sample).ids())
          .hasSizeGreaterThan(prompts.firstTurn(sample).ids().length);
    }
  }
}
