//! Two users of a temporary mail server write to each other.

use cdonts::{Importance, MailServer, NewMail, RecipientType, Session};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = MailServer::temporary()?;
    println!("A mail server for example.com, in a directory that will be gone at the end.");

    NewMail::new(&server)
        .from("Joe <joe@example.com>")
        .to("jane@example.com")
        .subject("Lunch?")
        .body("At noon?")
        .send()?;
    println!("Joe wrote to Jane with NewMail.");

    let jane = Session::logon_smtp(&server, "Jane Doe", "jane@example.com")?;
    let question = jane
        .inbox()
        .messages()?
        .get_first()
        .ok_or("Jane's Inbox is empty")?;
    println!(
        "Jane reads \"{}\" from {}: {}",
        question.subject(),
        question.sender(),
        question.text()?
    );

    let mut answer = jane.outbox().messages().add("Re: Lunch?", "Yes, there:");
    answer
        .recipients_mut()
        .add("Joe", question.sender().address(), RecipientType::To);
    answer
        .recipients_mut()
        .add("", "audit@example.com", RecipientType::Bcc);
    answer.set_importance(Importance::High);
    answer
        .attachments_mut()
        .add_bytes("map.txt", "two streets down\n");
    let sent = answer.send()?;
    println!(
        "Jane answered with a map; delivered to {}.",
        sent.delivered().join(" and ")
    );

    let joe = Session::logon_smtp(&server, "Joe", "joe@example.com")?;
    let messages = joe.inbox().messages()?;
    println!("Joe has {} message.", messages.len());
    for message in &messages {
        println!(
            "Joe reads \"{}\", importance {}.",
            message.subject(),
            message.importance()?.name()
        );
        let saved = tempfile::tempdir()?;
        for attachment in message.attachments()? {
            let path = attachment.write_to_dir(saved.path())?;
            let content = std::fs::read_to_string(&path)?;
            println!("Joe saves {}: {}", attachment.name(), content.trim());
        }
        message.delete()?;
    }
    println!(
        "Joe deleted it; {} messages are left.",
        joe.inbox().messages()?.len()
    );

    let audit = Session::logon_smtp(&server, "", "audit@example.com")?;
    println!(
        "The blind copy is still there: {} message.",
        audit.inbox().messages()?.len()
    );
    Ok(())
}
