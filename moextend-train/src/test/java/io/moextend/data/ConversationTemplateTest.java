package io.moextend.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.moextend.Golden;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ConversationTemplateTest {
  @TestFactory
  List<DynamicTest> everyGoldenTemplateWritesThePublishedTexts() throws IOException {
    JsonNode wanted =
        new ObjectMapper()
            .readTree(Golden.path("moiie/preprocessing/talk.json").toFile())
            .get("conversation prompts");
    assertThat(wanted).hasSize(13);
    List<DynamicTest> tests = new ArrayList<>();
    wanted
        .properties()
        .forEach(
            entry ->
                tests.add(
                    DynamicTest.dynamicTest(
                        entry.getKey(), () -> compare(entry.getKey(), entry.getValue()))));
    return tests;
  }

  private static void compare(String key, JsonNode wanted) {
    ConversationTemplate template = ConversationTemplate.named(key);
    assertThat(template.style().name()).isEqualTo(wanted.get("style").asText());
    assertThat(template.question(List.of("<image>\nWhat?"))).isEqualTo(wanted.get("open").asText());
    List<String> four = List.of("Q one", "A one", "Q two", "A two");
    if (wanted.get("closed").isTextual()) {
      assertThat(template.conversation(four)).isEqualTo(wanted.get("closed").asText());
    } else {
      assertThatThrownBy(() -> template.conversation(four))
          .isInstanceOf(DataException.class)
          .hasMessage(
              "conversation template plain has no sign behind an answer; ask with it, or take"
                  + " bunny, phi3, minicpm or llama");
    }
  }

  @Test
  void aQuestionBehindAnAnswerIsOpenToo() {
    List<String> three = List.of("Q one", "A one", "Q two");
    assertThat(ConversationTemplate.LLAMA.question(three))
        .endsWith("questions.USER: Q oneASSISTANT: A one<|end_of_text|>USER: Q twoASSISTANT:");
    assertThat(ConversationTemplate.QWEN.question(three))
        .isEqualTo(
            """
            <|im_start|>system
            You are a helpful assistant.<|im_end|>
            <|im_start|>user
            Q one<|im_end|>
            <|im_start|>assistant
            A one<|im_end|>
            <|im_start|>user
            Q two<|im_end|>
            <|im_start|>assistant
            """);
    assertThat(ConversationTemplate.MISTRAL_INSTRUCT.question(three))
        .isEqualTo("[INST] Q one [/INST] A one </s>[INST] Q two [/INST]");
    assertThat(ConversationTemplate.LLAMA3.question(three))
        .endsWith(
            "A one<|eot_id|><|start_header_id|>user<|end_header_id|>Q two<|eot_id|>"
                + "<|start_header_id|>assistant<|end_header_id|>");
    assertThatThrownBy(() -> ConversationTemplate.PHI3.question(three.subList(0, 2)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("2 texts; a question's last text is the user's");
  }

  @Test
  void anEmptyAnswerReadsLikeOneToCome() {
    assertThat(ConversationTemplate.PHI3.conversation(List.of("Q", "")))
        .isEqualTo(ConversationTemplate.PHI3.question(List.of("Q")));
  }

  @Test
  void anUnknownTemplateNamesThoseThereAre() {
    assertThatThrownBy(() -> ConversationTemplate.named("vicuna"))
        .isInstanceOf(DataException.class)
        .hasMessage(
            "conversation template vicuna: known are default, bunny, phi3, minicpm, llama, llama3,"
                + " plain, mistral_instruct, llava_v1, vicuna_v1, qwen, qwen2_5, ross_qwen2");
  }

  @ParameterizedTest
  @CsvSource({"default", "bunny", "phi3", "minicpm", "llama", "plain"})
  void someTemplatesTrain(String key) {
    ConversationTemplate template = ConversationTemplate.named(key);
    assertThat(template.forTraining()).isSameAs(template);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "llama3",
        "mistral_instruct",
        "llava_v1",
        "vicuna_v1",
        "qwen",
        "qwen2_5",
        "ross_qwen2"
      })
  void theOthersServeQuestionsAlone(String key) {
    assertThatThrownBy(() -> ConversationTemplate.named(key).forTraining())
        .isInstanceOf(DataException.class)
        .hasMessage(
            "conversation template "
                + key
                + ": nothing says what is learnt of it; train with bunny, phi3, minicpm, llama,"
                + " plain");
  }
}
