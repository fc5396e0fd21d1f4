// What the page itself says, in the languages of the people who try it; what the bot says is the bot's own.

export const LANGUAGES = { "en-US": "English", "zh-TW": "繁體中文", de: "Deutsch" };

const WORDS = {
  "en-US": {
    channel: "Channel",
    you: "You are",
    yourLanguage: "Your language",
    serverLanguage: "Server's language",
    nobody: "no bot is connected",
    connected: "the bot is connected",
    several: "bots are connected:",
    send: "Send",
    message: "Type / for the commands of",
    optional: "optional",
    onlyCommands: "Only commands do something here: begin with /.",
    used: "used",
    control: "a button",
    thinking: "is thinking…",
    reply: "in reply to",
    choose: "Choose",
    submit: "Submit",
    bystander: "no role",
    silent: "The sandbox does not answer:",
  },
  "zh-TW": {
    channel: "頻道",
    you: "你是",
    yourLanguage: "你的語言",
    serverLanguage: "伺服器語言",
    nobody: "沒有機器人連線",
    connected: "機器人已連線",
    several: "連線中的機器人：",
    send: "送出",
    message: "輸入 / 以使用指令：",
    optional: "選填",
    onlyCommands: "這裡只有指令有作用：請以 / 開頭。",
    used: "使用了",
    control: "按鈕",
    thinking: "正在思考…",
    reply: "回覆",
    choose: "請選擇",
    submit: "送出",
    bystander: "沒有身分組",
    silent: "沙盒沒有回應：",
  },
};

export const language = () => document.getElementById("locale").value || "en-US";

export const say = (word) => (WORDS[language()] ?? WORDS["en-US"])[word];

/** Say everything on the page that stands there for good. */
export function sayAll() {
  document.documentElement.lang = language();
  for (const one of document.querySelectorAll("[data-word]")) one.textContent = say(one.dataset.word);
  document.getElementById("send").textContent = say("send");
}
