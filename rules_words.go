package smtpretry

// A term is a concept, and the words that servers use for it. In the phrases, #
// stands for a number, * at the end leaves the last word open, and ~ at the
// start looks in links and host names too. Words stand as [wordList] has them:
// lower case, no punctuation, no accents.
type term struct{ name, phrases string }

var terms = []term{
	// Not words: the reply names a time to wait.
	{"waitNamed", "@wait"},

	// Who or what is refused.
	{"ip", "ip|ips|ip address*|your host|client host|sending host|connecting host|your server|your mail server*|sending server*|sending mta*|" +
		"sending mta|your network|their network|your netblock|netblock|remote host|remotehost|adresse ip|source ip|hosts with|your sending ip|" +
		"your isp|ihr server|ihre ip|deine ip|direccion ip|indirizzo ip|adres ip|endereco ip|ipv6|ipv4|client address|client|from you|" +
		"servers devices|mail servers|connecting ip|originating ip|sender ip*|relay host|sending hosts|dynamic ips|spam ips|" +
		"bad ip|" +
		"address range|ip range*|your range|subnet"},
	{"ipLiteral", "@ip"},
	{"host", "host|server|client"},
	{"domain", "domain*|dominio*|domaine*|domena*|domeny"},
	{"sender", "sender*|mail from|mailfrom|envelope from|from address*|from domain*|expediteur*|emetteur*|absender*|remitente*|" +
		"mittente|remetente*|nadawc*|reverse path|return path|envelope domain|rfc5321 from|rfc 5321 from|from header|from field|your address|your email address"},
	{"recipient", "recipient*|rcpt*|receiver*|addressee*|destinataire*|destinatari*|empfanger*|empfaenger*|odbiorc*|adresat*|" +
		"forward path|to address*|envelope recipient*"},
	{"mailbox", "mailbox*|mail box*|mailfolder|mail folder|inbox*|maildir|mail drop|maildrop|postfach|boite*|buzon*|casella|skrzynk*|" +
		"caixa postal|user|users|account*|konto|cuenta|compte|utilisateur*|usuario*|utente*|uzytkownik*|benutzer*|email account*|alias|mail file"},

	// Limits.
	{"tooMany", "too many|too much|trop de|zu viele|demasiad*|troppi|troppe|muitos|muitas|zbyt wiele|za duzo|exceed*|maximum*|max|limit*|only one|excessive"},
	{"tooManyWords", "too many|too much|too frequent*|trop de|zu viele|demasiad*|troppi|troppe|muitos|muitas|zbyt wiele"},
	{"manyRecipients", "too many recipients|too many rcpt*|too many recipient*|too much recipient*|too many addresses|too many destinations|out of allow rcpt|recipient limit*|recipients limit*|" +
		"max recipients|maximum recipients|maximum number of recipients|exceeds recipient limit|recipient count|zu viele empfanger|trop de destinataires|demasiados destinatarios|" +
		"troppi destinatari|muitos destinatarios|zbyt wielu odbiorcow|recipients per message|recipients per transaction|rcpts is over|" +
		"enough recipients|remaining recipients|rest of the recipients|fewer recipients|other recipients in another|split recipients|split the recipients"},
	{"limit", "limit*|exceed*|quota|threshold|throttl*|maximum|max"},
	{"inSession", "per session|per connection|in this connection|in this session|for this session|for this connection|in one session|in a single session|" +
		"in one connection|this session|single connection|single session|per smtp session|per smtp connection|for one session|" +
		"for one connection|one session|per tcp connection|during this session|same connection|same session|each connection|each session|" +
		"this connection"},
	{"rate", "rate limit*|ratelimit*|rate of|rate|throttl*|too quickly|too fast|too frequent*|frequency|slow down|slower|per second|per minute|" +
		"per hour|per day|this hour|hourly|daily|an hour|a day|within # minute*|within # hour*|in # minute*|in # hour*|over past|last # hour*|" +
		"past # hour*|last hour|past hour|too many recent|sending limit*|message rate|volume|flow control|sending rate|traffic shap*|" +
		"too many requests|messages per|recipients per hour|bulk rate|too rapidly|too often|rapid|at this rate|per interval|in a short|" +
		"within a short|short period|short time|too soon|per time|unit of time|time frame|hour limit|within the last|burst|velocity|speed|" +
		"one hour|this minute|next hour|messages today|mails today|emails today|sent today|per 24 hours|more than we take|faster than"},
	{"throttle", "throttl*|rate limit*|ratelimit*|rate control*|frequency limit*|volume limit*|slow down|slower"},
	{"sendQuota", "sending quota*|sender quota*|sending rate*|sending limit*|submission rate*|submission quota*|daily quota*|quota for sending|" +
		"message quota|smtp relay limit*|smtp relay sending limit*|relay limit*|user sending limit*|credits|outgoing limit*|" +
		"mail quota exceeded for sender|daily message quota|daily sending|daily limit|monthly limit|maximum sending rate|outbound limit*|" +
		"send limit*|email limit*|emails per|quota policy|sending allowance|plan limit*|daily message*|messages per day|emails per day|" +
		"recipients per day|maxoutgoing*|outgoing messages|max emails per|emails per hour|mails per hour|mails per day|" +
		"messages per hour allowed|mail sending limit|daily sending quota|message limit exceeded for account|" +
		"exceeded the maximum number of emails|monthly quota|email credits|daily allowance|hourly quota|hourly sending|daily email|" +
		"per user limit|allotted|number of emails|smtp relay quota"},

	{"connLimit", "connection rate*|connections per|concurrent*|simultaneous*|too many connection*|too many session*|too many smtp session*|" +
		"too many smtp connection*|too many open*|connection limit*|connection frequency|max connection*|maximum connection*|" +
		"maximum number of connection*|number of connections|number of sessions|session limit*|sessions exceeded|connections exceeded|" +
		"connections reached|thread limit*|smtp services exceeded|trop de connexions|zu viele verbindungen|demasiadas conexiones|" +
		"troppe connessioni|muitas conexoes|zbyt wiele polaczen|too many tcp|too many processes|too many channels|max message per connection|" +
		"too many threads|too frequent connect*|tls sessions|connections to this listener|simultaneous|max number of connections|sessions from|" +
		"sessions open|parallel connections|connections at once|connections open|reached connection|concurrency|connects too|connecting too|" +
		"reconnecting too|connection throttl*|connections throttl*|connections within|connection attempts|number of concurrent|session count|" +
		"open connections|active connections|verbindungen|sessions per|number of messages per connection|messages per connection|" +
		"connection slot*|connection handlers|out of connections|no more connections|no free connection*|connections in use|sessions than|too many open|more connections than|connections already|session slots|parallel session*"},

	// Reputation.
	{"listed", "listed*|~dnsbl*|~rbl|~rbls|~spamhaus*|~sorbs|~spamcop*|~barracudacentral*|~uceprotect*|~senderscore*|~senderbase*|~cloudmark*|~abuseat|" +
		"~mailspike|~spamrl|~invaluement*|~surbl|~uribl|~dbl|~njabl|~cbl|~psbl|~hostkarma|~junkemailfilter|~drbl|~manitu|~nixspam|" +
		"~backscatterer|~truncate gbudb|blocked using @host|blocked by @host|found in @host|rejected using @host|block list*|blocklist*|" +
		"real time black*|realtime black*|dns blacklist*|black hole|blackhole*|~ipremoval*|~mail abuse|~sendersupport*|~dnsbl lookup|csi|~xbl|" +
		"~sbl|~pbl|~zen|dnsbls|ivmsip|ivmuri|blocklisting*|~denyip*|~blackholes|rhsbl|found on one or more|reputation list|~spamrats|~0spam|" +
		"~gbudb|~fabel|~interserver|~rbl reject"},
	{"blacklist", "blacklist*|black list*|blacklist|blocklist*|block list*|denylist*|deny list*|schwarze liste|liste noire|lista negra|listanegra|lista nera|czarn* list*|" +
		"black ip|black mail|blackmail|badmailfrom|~blacklist|banlist|ban list|auf der blacklist|bannliste|" +
		"reject list*"},
	{"blocked", "blocked|banned|block|bloque*|bloquead*|gesperrt*|geblockt|bloccat*|zablokowan*|blokeeris|barred|suspend*|is blocked|hangup|" +
		"prohibited from sending|bloked|verboten|blocklisting|not liked|not welcome|unwelcome|blocking|disallowed from sending|in quarantine|" +
		"bloquees|geblokkeerd|blokker*|sperat|confirm this mail server"},
	{"reputation", "reputation*|bad behavio*|reputatie|reputacion|trust level|score card|not trusted|untrusted|" +
		"sending history|poor history|bad history"},
	{"abuse", "abuse*|abusive|spam source|spammer*|spambot*|zombie*|botnet|open relay|open proxy|compromised|hacked|suspicious activity|" +
		"suspected spam ip|spam ip*|spamming|spammy|complaint*|unwanted mail|unwanted messages|spam incident|incident de spam|go away|" +
		"unsolicited mail from|you are sending spam|currently sending spam|denial of service|attack*|hijacked|dictionary attack|harvest*|" +
		"too many spam*|too much spam|abus|spammers|spam complaint*|bad reputation|misuse|malicious activity|dos attack|mail bomb*|bombing|" +
		"flood*|policy block|acceptable use|aup|zombied|bounce attack*|attempting to mail too many|bad mail|unsolicited|" +
		"intrusion*|fail2ban|brute force"},
	{"dynamic", "dynamic*|dial up|dialup|dial in|residential|generic dns|generic ptr|generic reverse|dul|home user*"},
	{"geo", "geoip|geographic*|country|countries|gu eib"},
	{"deferredHistory", "address deferred|has been deferred|temporarily deferred|permanently deferred|temporarily blocked|temporarily rejected|" +
		"temporarily denied|temporarily suspended|was deferred|are deferred|will be deferred|temporarily blacklisted|deferred due to|" +
		"temporarily refused|temporarily barred|temporarily banned|temporarily restricted"},

	// Greylisting.
	{"greylist", "greylist*|graylist*|grey list*|gray list*|greylisted|~greylisting|~graylisting|~postgrey|~grey rbl|~greylist|greylst|listes grises|" +
		"liste grise|lista gris|szara lista|grau liste|graue liste|not yet authorized|first attempt|unknown triplet|new triplet|first contact|" +
		"delayed for antispam|temporarily delayed|please retry in|you are being delayed|initial delay|graulist*|zeitweise abgelehnt|" +
		"not seen you|never seen you|not seen this|seen you before|on the grey|on the gray|first time we|not been seen before|never been seen"},

	// Authentication of the client.
	{"authRequired", "authentication required|authentication is required|authentication needed|requires authentication|require authentication|auth required|" +
		"smtp auth required|not authenticated|unauthenticated sender*|must authenticate|must be authenticated|need to authenticate|" +
		"you must log in|must login|log in first|login first|please authenticate|please log in|please login|authenticate first|not logged in|" +
		"authentifizierung erforderlich|anmeldung erforderlich|authentification requise|autenticacion requerida|se requiere autenticacion|" +
		"autenticazione richiesta|autenticacao necessaria|wymagana autoryzacja|wymagane uwierzytelnienie|smtp authentication is required|" +
		"turn on smtp authentication|smtp authentication|authenticate to send|login required|dont authenticate|submit messages unauthenticated|" +
		"authentification obligatoire|requires smtp auth*|need authentication|enable authentication|sender must authenticate|" +
		"was not authenticated|user not authenticated|sender not authenticated|authorization required|authorisation required|" +
		"requires authorization|not authorized to use this server|auth first|authenticate before|login before|pop before|logged into the pop|" +
		"smtp authentication turned on|provide credentials|need to login|requires login|" +
		"logged into|be logged in|be logged on|log on first|logon required|must log on|pop3 first|check mail first|ehlo and auth|" +
		"authenticate yourself|authenticate your"},
	{"authFailed", "authentication fail*|authentication unsuccessful|authentication credentials invalid|authentication rejected|authentication aborted|" +
		"authentication error|auth error|auth fail*|bad credentials|invalid credentials|incorrect credentials|wrong password|bad password|" +
		"incorrect password|invalid password|invalid login|login fail*|login incorrect|login denied|password incorrect|password not accepted|" +
		"username and password|user name or password|username or password|invalid user or password|incorrect authentication|" +
		"invalid authentication|authentication invalid|authentication not allowed|authentication disabled|authentication is disabled|" +
		"not permitted to authenticate|password expired|password required|fail authentication|code dauthentification|identifiants|" +
		"authentifizierung fehlgeschlagen|anmeldung fehlgeschlagen|application specific password|app password|smtp auth extension|bad user|" +
		"submitter failed|login attempt*|too many auth*|too many login*|authentication attempt*|log in with your web browser|" +
		"log in through your web browser|web login required|authentication mechanism*|auth not available|authentication type|" +
		"authentication is not|could not authenticate|cannot authenticate|unable to authenticate|auth mode unsupported|" +
		"smtpclientauthentication*|authorization failed|authorization failure|authentication data|bad authentication|auth rejected|" +
		"credentials rejected|wrong credentials|wrong username|invalid username|unknown username|authentication required failed|" +
		"basic authentication|authentication credential*"},

	// Policies on the sender.
	{"spf", "spf|softfail|hardfail|sender policy framework|~spf pobox com|~openspf"},
	{"dkim", "dkim|dk email|domainkeys"},
	{"dmarc", "dmarc*|domain authentication"},
	{"senderAuth", "purported responsible|sender id|spoof*|anti spoofing|forged|forgery|fake|authentication checks|does not pass authentication|" +
		"not allowed to send mail for|not authorized to send mail for|mismatches client ip|not permitted sender|unauthenticated email|" +
		"is unauthenticated|sender is unauthenticated|rejected due to authentication|arc validation|alignment|aligned|authenticated spf|" +
		"remote ip check|invalid ip for sending mail of domain|does not match sender domain|authentication requirements|impersonat*|" +
		"not passed validation|not authenticated by|failed authentication checks|fails authentication|ip mismatch|not designated|" +
		"not a permitted|not permitted to send mail for|pra|header from mismatch|unauthenticated mail|" +
		"senders policy|sender policy|policy of the sender|policy of your domain|policy of the sending domain"},
	{"ptr", "ptr|reverse dns|rdns|reverse lookup|reverse record*|reverse address|reverse mapping|reverse name|ip name lookup failed|" +
		"ip name possibly forged|cannot find your hostname|cannot find your reverse hostname|cannot resolve your address|cannot resolve your ip|" +
		"unresolvable relay host|fcrdns|full circle dns|forward confirmed|hostname does not|no rdns|without a valid sender domain|inverse dns|" +
		"dns inverse|reverso|resolucion inversa|revdns|your reverse hostname|matching dns name|does not have a dns name|iprev|ip lookup failed|" +
		"no hostname|no host name|your hostname|unverifyable sending|unverifiable sending|reverse host|inverse address|rdns record|dns ptr|" +
		"pointer record|no reverse|missing reverse|reverse entry|valid hostname|no name for your|find your reverse|hostname lookup of|" +
		"no dns name|custom reverse|generic hostname|hostname is generic|" +
		"ip must resolve|ip does not resolve|ip doesnt resolve|ip address must resolve|ip address does not resolve|ip address doesnt resolve|host must resolve|ip must have a name|name for your ip"},
	{"helo", "helo|ehlo|helohost|heloname|hello name|helo name"},

	// Encryption.
	{"tls", "tls*|starttls*|ssl*|encryption|encrypted|encrypt|unencrypted|certificate|cipher*|verschlusselung|verschlusselt*|chiffr*|cifrad*|" +
		"handshake|high strength|secure connection|dane|mta sts|insecure connection|unsecured|secure channel|smtps|ciphers"},

	// Lookups that failed at the receiver.
	{"lookupFailed", "lookup fail*|lookup failure*|dns fail*|dns error*|dns temporary|temporary dns|dns timeout|dns not available|dns lookup*|servfail|" +
		"name server*|nameserver*|dns server*|could not resolve|unable to resolve|cannot resolve|cant resolve|unresolvable|does not resolve|" +
		"doesnt resolve|not resolve|unresolved|cannot verify mx|resolve fail*|resolve error*|dns query|temporary domain failure|" +
		"temporary lookup*|dns record lookup|dns problem*|resolution fail*|name resolution|domain lookup*|dns issue|mx lookup|dns check*|" +
		"sender verify defer*|could not complete sender verify|resolve fail|dns resolution|no answer from dns|lookup error*|lookup timeout*|" +
		"lookup timed out|lookup problem*|lookup temporar*|lookups fail*|host name lookup|hostname lookup|malformed name server|" +
		"name server reply|dns timed out|resolver|dns lookups|domain name system|temporarily unresolvable|unable to lookup|unable to look up|" +
		"could not look up|cannot look up|could not complete|cannot check|could not check|cannot verify|could not verify|unable to verify|" +
		"must resolve|must be resolvable|not resolvable|should resolve|nameservers|dns servers"},

	// Addresses.
	{"notExist", "does not exist|doesnt exist|not exist|dont exist|does not exists|do not exist|non existent|nonexistent|nonexisting|non existing|" +
		"unknown|not found|not known|could not be found|cannot be found|couldnt be found|wasnt found|was not found|no such|not a valid|" +
		"is not valid|not valid|isnt valid|invalid|illegal|incorrect|misspelled|no mailbox here|no mail box|no longer valid|no longer available|" +
		"no longer exist*|no longer on|no longer in use|not listed|not present|not recognized|not recognised|not local|not here|there is no one|" +
		"no account|doesnt have|does not have|dont have|inconnu*|nexiste pas|existiert nicht|unbekannt*|nicht gefunden|ungultig*|" +
		"nicht vorhanden|no existe*|desconocid*|inexistente*|non esiste|sconosciut*|nao existe|desconhecid*|nie istnieje|nie ma takiego|" +
		"nieznany|nieprawidlow*|invalide*|bad|wrong|inactive|has been replaced|has moved|moved to|has left|not in|nobody by that name|" +
		"undeliverable|unrecognized|unrecognised|misspelt|no one|nobody|not configured|not in our|not in my|never existed|no longer an|has no|" +
		"cannot be verified|cant accept user|cannot deliver|cant deliver|inexistant*|introuvable|errato|errata|onbekend*|bestaat niet|okand*|" +
		"ukendt|ukjent*|tuntematon|neexistuje|neznam*|nonexistant|not a known|not an active|not known to|may not exist|is wrong|" +
		"not accepted here|no user|no recipient|no mailbox|not match|cannot find|could not find|cant find|unable to find|no match|" +
		"unresolvable mailbox|not deliverable|blank mailhost|not a member of domain|not registered|unregistered|not in recipient|" +
		"not in directory|not a customer|no existen|non existe|nepostojec*|existuje|hittades inte|findes ikke|finnes ikke|ei ole|no exist|" +
		"not exists|path no"},
	{"disabled", "disabled|deactivated|inactive|not active|isnt active|archived|archivee|closed|suspended|locked|frozen|expired|discontinued|deleted|" +
		"terminated|cancelled|canceled|no longer active|no longer accept*|not accepting mail|not accepting any mail|out of service|unavailable|" +
		"unavaiable|not available|not currently|temporarily inactive|bloque|gesperrt|deaktiviert|stillgelegt|desactivad*|disabilitat*|" +
		"desativad*|nieaktywn*|zablokowan*|not yet active|on hold|restricted|not enabled|inactivity|hasnt been used|unable to accept|" +
		"account is blocked|isblocked|is locked|cannot be accessed|unallocated|not being accepted|suspend*|deactivat*|desactive*|disattivat*|" +
		"inactivated|inactif|inactiva|inactivo|inactivos|inattiv*|expirado|ha expirado|caducad*|expire|retired|abandoned|dormant|removed|" +
		"revoked|obsolete|not activated|no longer|cannot receive|not receive mail|unable to receive|closing account|gelosch*|geschlossen|" +
		"inaktiv*|fermee|supprime*|cerrad*|eliminad*|chius*|usuniet*|zamknie*|abgelaufen|administratively|not accepting messages|decommissioned|" +
		"cancell*|shut down|does not receive|refusing mail|not permitted to receive|not allowed to receive|out of use|freeze|unconfirmed|" +
		"not confirmed|not verified|awaiting activation|left the|resigned|is no longer valid|not longer valid"},
	{"noSuchUser", "no such user*|no such recipient*|no such mailbox*|no such address*|no such person|no such account*|no such email*|no such local user*|" +
		"user unknown|unknown user*|unknown recipient*|recipient unknown|unknown local part*|unknown mailbox|mailbox unknown|addressee unknown|" +
		"address unknown|unknown address*|user not found|user does not exist|user doesnt exist|user not exist|user not known|user doesnt have|" +
		"unknown or illegal alias|mailbox not found|mailbox unavail*|mailbox does not exist|mailbox doesnt exist|mailbox not available|" +
		"mailbox disabled|mailbox is inactive|mailbox inactive|mailbox invalid|mailbox currently suspended|mailbox suspended|mailbox is frozen|" +
		"mailbox is unavailable|recipient not found|recipient does not exist|recipient doesnt exist|recipient not exist|recipient is not|" +
		"recipient no longer|invalid recipient*|invalid mailbox*|invalid user*|bad recipient*|bad destination*|bad mailbox|no mailbox here|" +
		"no mailbox by that name|not a valid recipient|not a valid mailbox|not a valid user|not a valid email|not a known user|" +
		"not a local address|not a local user|badrcptto|badrecipientto|validrcptto|no longer on server|account not found|account does not exist|" +
		"account doesnt exist|account is disabled|account disabled|account has been disabled|account inactive|account is inactive|" +
		"account that you tried to reach|user is locked|user locked|user suspended|user is suspended|user disabled|user is disabled|" +
		"user inactive|user is inactive|user account is*|deactivated mailbox|inactive user|inactive email|email address could not|" +
		"address does not exist|address doesnt exist|email address does not|destination mailbox*|nosuchuser|utilisateur inconnu|" +
		"destinataire inconnu|benutzer unbekannt|empfanger unbekannt|empfanger existiert nicht|usuario desconocido|no existe el usuario|" +
		"no existe ese usuario|no existe dicha persona|nessun utente|utente sconosciuto|utente inesistente|usuario inexistente|" +
		"usuario nao existe|usuario desconhecido|caixa postal inexistente|nie ma takiego|brak uzytkownika|nieznany odbiorca|nieznany uzytkownik|" +
		"podane konto|konto nie istnieje|нет такого|не существует|destinataire invalide|archived recipient|not in my validrcptto|" +
		"not our customer|adresse inexistante|adresse dau moins un destinataire invalide|adresse d au moins un destinataire invalide|" +
		"recipient address reserved|unknown email address|no account by that name|email name is not found|address not present|no valid mailbox|" +
		"no one at this address|spectator does not exist|mailbox is not allowed|mailbox name not allowed|nonexistent user|non existent user|" +
		"recipient verify failed|delivery to this address|missing home directory|not our user|suppression list|mailbox unallocated|" +
		"is not active|invalid rcpt*|mailbox cannot be accessed|bad address|not an active address|no longer an employee|no one with that|" +
		"user status is|account closed|account expired|account suspended|account is suspended|account has been suspended|" +
		"account has been closed|account terminated|user account not|mailbox has been disabled|mailbox has been suspended|mailbox deactivated|" +
		"mailbox is deactivated|not in recipient list|cant accept user|email name is not|recipient unrecognized|recipient unrecognised|" +
		"recipient invalid|recipient is invalid|user invalid|wrong recipient*|incorrect recipient*|invalid account*|invalid to address|" +
		"unknown or illegal user|unknown account*|unknown virtual user|invalid or unknown virtual user|no such mail drop|no mail box available|" +
		"recipient not allowed|destinatario sconosciuto|destinatario errato|indirizzo inesistente|adressat unbekannt|inactive recipient|" +
		"illegal user|recipient cannot be verified|no longer exists|user is unknown|account unavailable|account is unavailable|address invalid|" +
		"address is invalid|address not recognized|address is unknown|recipient suspend*|mailbox locked|mailbox is locked|" +
		"does not like recipient|failed to lookup user|no user|host unknown|unknown host|no such host|name or service not known|" +
		"is no longer valid"},
	{"invalidSyntax", "syntax*|malformed|bad address|illegal*|invalid character*|fully qualified|must contain a domain|address format|not a valid rfc*|rfc 5321 address|rfc5321 address|" +
		"improper*|cannot parse|unparseable|unparsable|no domain part|missing domain|missing local part|domain missing|qualified"},
	{"addressRejected", "address rejected|addresses rejected|recipient rejected|rcpt rejected|recipient refused|recipient denied|user rejected|address refused|" +
		"recipient is rejected|rcpt is rejected|address is rejected|not accept recipient|recipient not accepted|recipient not ok"},

	{"list", "this list|the list|mailing list*|this group|the group|distribution list*|distribution group*|mailinglist*"},
	{"authNoun", "auth|authentication|smtp auth*|login|credentials|authenticate*|authentifizierung|authentification|autenticacion|autenticazione|autenticacao|anmeldung|uwierzytelnieni*"},
	{"required", "required|requires|require|must|need|needs|needed|mandatory|necessary|first|please|obligatoire|erforderlich|requise|requerida|richiesta|necessaria|wymagan*"},

	{"refusedByRecipient", "recipient preferences|receiver denied|rejected by this user|rejected by the user|rejected by user|rejected by recipient*|" +
		"rejected by the recipient*|blocked by the recipient|blocked by recipient|recipient is only accepting|only accepting mail from|" +
		"only accepts mail from|refused by recipient|refused by the recipient|denied your mail|user reject|recipient has blocked|" +
		"privacy settings|allowed senders|members only|only members|closed mailing list|closed list|refuse to receive|" +
		"refuses to accept your mail|blacklisted by recipient|recipients blacklist|recipients block list|users blacklist|" +
		"recipient does not accept|recipient doesnt accept|recipient rejects|has restricted|account is protected by|blocked by user|" +
		"refused by user|not permitted to send to this|not in the recipients|recipients personal|personal block|only registered|" +
		"only authorized senders|closed system|not authorized to send to|private list|refuses to receive|refused to receive|not pre approved|" +
		"preapproved|not allowed to post|to post to|not permitted to post|moderated|subscribers only|only subscribers|not a member|non member*|" +
		"nonmember*|blocked by this user|rejected due to user rules|user rules|users rules|recipient rules|recipients policy settings|" +
		"does not wish to receive|does not want|doesnt want|has blocked you|blocks mail from|recipients filter|personal blacklist|" +
		"personal blocklist|users block list|users blocklist|recipient filter|only from|accepts mail only|accept mail only|approved senders|" +
		"allowed sender|permitted senders|recipients safe list|safelist|not accepting mail from this|not accepting mail from you|" +
		"not authorized to post|rejected by recipients|rejected by its recipient*|not allowed to send mail to this|" +
		"not allowed to send messages to this|not allowed to send to this|not permitted to send mail to this|" +
		"not authorized to send mail to this|not authorized to send messages to|not authorized to mail this|only accepts|accepts only|" +
		"personal deny*|personal block*|personal black*|users deny*|recipients deny*|has put you on|has blacklisted|has blocklisted|by the recipients own|" +
		"only takes mail from|takes mail only|known contacts|known senders|address book|contact list|trusted senders|whitelisted senders only|" +
		"mailbox protected|must be approved|mailbox is protected"},

	// Mailboxes and sizes.
	{"full", "full|over quota|overquota|quota exceeded|exceeded quota|quota*|out of storage|out of space|not enough space|not enough storage|insufficient space|no space left for|pleine|" +
		"voll|uberfullt|llen*|pien*|cheia|lotad*|przepelnion*|pelna|storage limit*|exceeded storage|storage allocation|disk space|disc quota|mailbox limit|exceeded its|space has been used|too many messages on the server|" +
		"exceeded the local limit|exceeding receiving|too much mail data|maximum allowed storage|size limit exceeded"},
	{"fullPhrase", "mail file size|exceeding their quota|exceeding its quota|mailbox full|mailbox is full|mailbox over quota|mailbox quota|" +
		"mailbox size limit*|mailbox limit*|mailbox would exceed|mailbox has exceeded|mailbox exceed*|full mailbox|user over quota|" +
		"user is over quota|user over the quota|user has exceeded quota|user quota|account is over quota|account over quota|account is full|" +
		"over quota|overquota|quota exceeded|exceeded quota|out of storage space|inbox is full|inbox is out of|disk quota|disc quota|" +
		"boite du destinataire pleine|boite pleine|mailbox voll|postfach voll|postfach ist voll|postfach uberfullt|buzon lleno|casilla llena|" +
		"casella piena|caixa postal cheia|caixa cheia|skrzynka pelna|skrzynka przepelniona|przekroczony limit miejsca|" +
		"exceeded storage allocation|exceeded storage limit|account storage limit|mail quota|maildir over quota|storage quota|" +
		"mailfolder is full|too many messages on the server|space has been used up|too much mail data|does not have enough space|" +
		"not enough storage space in|recipient storage full|would be over the allowed quota|quota violation|ящик переполнен|" +
		"email quota exceeded|exceeded its disk space|mail box full|exhausted allowed storage|storage full|recipient storage|exceeds quota|" +
		"exceeded the quota|mailbox quota usage|account is exceeding|exceeding receiving|zuviele mails auf|zu viele mails auf|" +
		"reached disk quota|over disk quota|exceeded its quota|exceeded their quota|exceeded his quota|exceed quota|exceed the quota|" +
		"exceed maximum allowed storage|over allowed quota|mailbox exceeds|account overquota|is overquota|user overquota|has no space|" +
		"no space in mailbox|mailbox size exceeded|insufficient mailbox|insufficient space in|not enough space in|storage is full|quota full|" +
		"quota is full|mailbox storage|storage exceeded|quota used|quota reached|hat das limit|speicherplatz|quota superee|quota depasse*|" +
		"cuota excedida|cuota superada|quota superata|quota excedida|przekroczona|przekroczono|quota overschreden|mailbox vol|brevlada full|" +
		"plna|over their quota|out of storage|space limit|maximum for mailbox|number of messages exceeds maximum|messages in mailbox|" +
		"out of quota|quota is over|quota over|above quota|beyond quota|quota overrun|quota exhausted|quota is exhausted|quota is used|past its quota|over its quota|over his quota|over quota limit|no quota left|quota has been exceeded|quota limit"},
	{"size", "too large|too big|too long|message size|size limit*|size exceed*|exceeds size|exceeds the size|maximum size|maximum message size|" +
		"max size|max message size|size greater|length exceeds|exceeds maximum size|exceeds limit|file too big|oversize*|larger than|" +
		"bigger than|zu gross|zu gros|trop volumineux|taille limite|taille du message|tamano|demasiado grande|muito grande|troppo grande|" +
		"zbyt duza|przekracza|header value|headers too large|header size|number of attachments|message header size|size of the|size of your|" +
		"maximum allowed size|over size|too many bytes|data size|mailsize limit|exceeds my databytes|oversized|exceeds maximum*|exceeds max|" +
		"exceeds the max*|exceeded the max*|message exceeds*|message exceeded|mail exceeds*|email exceeds*|exceeds fixed|too heavy|size is over|" +
		"over the size|reduce the size|smaller message|maximal size|maximalgrosse|grosse uberschr*|taille maxim*|excede el tamano|" +
		"excede o tamanho|supera la dimensione|dimensione massima|tamanho maximo|" +
		"bytes long|than # bytes|than # octets|than # kb|than # mb|than # kilobytes|than # megabytes|limit of # bytes|limit is # bytes|limit # bytes|bytes exceed*|bytes allowed|bytes maximum|over # bytes|over # mb|above # bytes|maximum of # bytes"},

	// Content.
	{"spam", "mass mail*|spam|spams|spammy|spamming|spamassassin|spamscore|junk|junkmail|ube|uce|unsolicited|unerwunscht*|phish*|bulk mail|" +
		"bulk email|bulk advertising|pourriel|antispam|anti spam|spam like|uribl|spamprofiler|advertis*|spamdetect*|reject bulk|spamfilter*|" +
		"spamtext|spamware|spambouncer|spam pattern|spam scale|newsletter*|spamminess|bulkmail|correo basura|indesejad*|ongewenst*|niechcian*|" +
		"wykryto spam|antyspam*|antispam*|spamtrap*"},
	{"virus", "virus*|malware|malicious|infected|trojan|worm|eicar|viruses|infekt*|virussen|wirus*|infizier*|ransomware|clamav|clamd|virus like"},
	{"content", "content*|attachment*|banned file|executable|file type*|extension|url in|urls|links within|link in|header based|" +
		"headers are not accepted|message body|body contains|contenu|inhalt|contenido|contenuto|conteudo|word filter|forbidden word*|mime type|" +
		"blocked by filter|message filtered|message content|suspicious|security policies|security issue|score|scored|suspected|fingerprint|" +
		"pattern detection|filters|filter|anti virus|same size mails|hash|password protected|encrypted attachment|archive*|macro*|" +
		"mail data refused|message data|subject contains|banned content|inappropriate|offensive|objectionable|javascript|kbas|aisp|" +
		"antispam rule|signature|bayes*|filtered|quarantin*|anti spam|keyword*|prohibited word*|pattern|file name*|filename*|zip|heuristic*|" +
		"dangerous|unsafe|scan|scanner*|scanned|security reasons|security risk|threat*|exploit|gtube|" +
		"sensitive word*|sensitive content|words detected|bad words|banned word*|illegal word*|blocked word*|forbidden content|prohibited content|forbidden phrase*|" +
		"bad link*|bad url*|malicious link*|forbidden link*|contains a link"},

	// Nothing but "no".
	{"policy", "policy*|policies|administrativ*|prohibition|prohibited|not authorized|not permitted|unauthorized|not allowed|denied|forbidden|" +
		"access denied|local policy|not authorised|unauthorised|not permit|no permission|not have permission*|permission denied|against our|" +
		"violat*|verboten|interdit*|prohibid*|vietat*|zabronion*|restriction*|restricted|" +
		"no permit"},
	{"later", "later|try again|retry|come back|plus tard|spater|mas tarde|piu tardi|mais tarde|pozniej|again in|resend|defer*|tempfail|reconnect*|temporar*|temporaire*|vorubergehend*|temporal*|momentan*|tymczasow*|chwilow*|transient|not currently"},
	{"rejectedFor", "rejected|refused|denied|reject|blocked|not accepted|rejete*|abgelehnt|abgewiesen|rechazad*|rifiutat*|rejeitad*|odrzucon*|rejecting|" +
		"rejects|rejection|refuse|refuses|refusing|denying|denies|declined|not allowed|not acceptable|unacceptable|cannot be accepted|" +
		"cant accept|cannot accept|disallowed|refusee|refuse par|geweigerd|afgewezen|odmitnut*|avvisad*|disapproved"},

	// Where it goes.
	{"relayDenied", "relay access denied|relaying denied|relay denied|relaying not|relay not|relaying is not|relaying prohibited|not relay*|unable to relay|" +
		"cannot relay|can not relay|denied relay|denies relay|no relay*|open relay not|open relay is not|insecure mail relay|rcpthosts|" +
		"relay operation|to relay|allowed to relay|relaying to|as a relay|relay check|relay rejected|relais*|we do not relay|dont relay|" +
		"relay access|use the smtp server of your isp|use smtp of your provider|third party relay*|non local|not local domain|" +
		"relay interdit|relaying temporarily|relaying refused|promiscuous relay|relaying|relaying disallowed|unauthorized relay|" +
		"relay disallowed|relay forbidden|relay prohibited|relay refused|relay operation*|relay attempt*|relayed|not a relay|relay your|" +
		"isnt allowed to relay|through this machine|through this server|attempting to send to a non local|not a gateway|not local host|" +
		"relay through|nicht weiterleiten|inoltro|retransmis*|not an open relay|no open relay|local user only|local users only|mx only|" +
		"relay from|relays for|no longer relays|no longer relay|does not relay|doesnt relay|do not relay|will not relay|wont relay|never relay*|relay traffic|relay for"},
	{"domainNotServed", "not accepting email for|not accepting mail for|does not accept mail|not accept mail|do not accept mail for|dont accept mail for|" +
		"no longer accepts mail|not hosted|not a local domain|not our domain|domain not here|domain not found|domain is not|domain not allowed|" +
		"domain is currently suspended|domain suspended|domain disabled|domain is disabled|domain not configured|domain unknown|unknown domain|" +
		"domain not known|not handle mail for|not served|no such domain|domain does not exist|domain doesnt exist|domain must exist|" +
		"unrouteable mail domain|dont handle mail|doesnt accept mail|not a mail server|no mx|nullmx|null mx|no mail service|" +
		"domain currently suspended|domain has been|user not local|unknown destination|destination domain|domain is a dead|" +
		"domain isnt in my list|route|routing|account inbounds disabled|accepts no mail|not configured to accept|not my domain|wrong server|" +
		"bad host|domain not served|domain not hosted|hosted tenant|whitelist for rcpt domain|unrouteable domain|account inbound*|unrouteable|" +
		"unroutable|doesnt handle mail|does not handle mail|do not handle mail|no route found|not local host|not a gateway|dont serve|" +
		"do not serve|does not serve|we do not accept mail for|unable to route|cannot route|not routed|misdirected|mail for this domain|" +
		"domain closed|domain expired|domain has expired|not responsible for|not the mail server for|not configured for|nicht zustandig|" +
		"domain not in|not a valid domain|not serviced|non local user|" +
		"not one of our domain*|not one of my domain*|not one of ours|not forward mail|no mx for|not an mx for|not mx for|not the mx for|not a mail exchanger|not mail exchanger|not among our domains|" +
		"is not handled|not handled by|not handled here|not handled on|not delivered here|not served by"},

	// Protocol.
	{"syntax", "syntax|malformed|unrecognized|unrecognised|not recognized|not recognised|unimplemented|not implemented|command unknown|unknown command|" +
		"invalid command|bad command|bad sequence|out of sequence|sequence error|out of order|need mail|need rcpt|need helo|need ehlo|" +
		"mail first|rcpt first|helo first|ehlo first|hello first|please say|say helo|polite|nested mail|sender already|already specified|" +
		"no recipients|no valid recipients|valid rcpt|pipelin*|synchronization|synchronisation|early talk*|talking too soon|before greeting|" +
		"protocol violation|protocol error|smtp protocol|not following the smtp|line too long|line length|bare lf|bare cr|bare line*|" +
		"stray newline*|stray linefeed*|linefeed|line feed|rfc 5322|rfc 2822|rfc 822|rfc5322|rfc2822|rfc compliant|rfc 5321|not rfc|" +
		"noncompliant|non compliant|mime|base64|8 bit|8bit|8bitmime|non ascii|utf 8|utf8|smtputf8|unicode|invalid header*|missing header*|" +
		"duplicate header*|multiple subject|multiple from|header error*|headers are not|missing from|message id|date header|parameter*|" +
		"argument*|bdat|chunk*|not supported|unsupported|improper*|too many errors|too many bad commands|too many unrecognized|" +
		"too many unknown commands|too many protocol|too many syntax|nul byte*|null character|invalid characters|header line*|from header|" +
		"valid address in|body type|expn|vrfy|line parse|garbage|unable to parse|cannot parse|introduce yourself|must precede|not yet given|" +
		"already given|too long line|nonmail|requires domain|not advertised|not enabled|sequence|expecting|expected|was expecting|syntax of|" +
		"no such command|not understood|dsn support|not allowed in|illegal command|wrong command|out of place|transaction in progress|" +
		"commands not|unknown option|illegal parameter|illegal argument|wrong sequence|bad parameter*|bad argument*|missing parameter|" +
		"too long command|command too long|command line|first use|use helo|use ehlo|ehlo required|helo required|must send|send hello|no sender|" +
		"need sender|mail required|rcpt required|before data|before mail|before rcpt|after data|after bdat|unexpected command|unexpected data|" +
		"unexpected input|unexpected argument|unexpected parameter"},
	{"formatFault", "~smtplf|bare lf|bare cr|bare line*|bare newline*|bare cr lf|stray newline*|stray linefeed*|stray line feed*|line feed character*|" +
		"linefeed*|rfc 5322|rfc 2822|rfc 822|rfc5322|rfc2822|rfc822|rfc compliant|not rfc|headers are not rfc|duplicate header*|" +
		"multiple subject*|multiple from|more than one from|invalid header*|missing header*|missing required|required headers|" +
		"header line too long|header not terminated|body line too long|8bit character*|8 bit data|non ascii character*|improperly formatted|" +
		"mime nesting|mime header*|mime parts|mime complexity|malformed message|message is malformed|message malformed|lone cr|nul character*|" +
		"null character*|invalid characters|illegal character* in header|unicode character|message id header|header is missing|" +
		"missing from header|missing date|no date header|no from header|invalid from header|multiple addresses in from|unnecessary base64|" +
		"encoded word|date in the future|future date|malformed mime|header count|too many header*|header fields|invalid data|mime error|" +
		"required standards|nested mime|boundary|invalid mime|mime structure|invalid structure|message ended early|illegal header|bad header*|" +
		"header error|without a from|without from|missing to header|missing subject|missing message id|no message id|no subject|" +
		"multiple headers|long lines|line length|lines too long|line is too long|maximum allowed line|too long lines|contains 8 bit|8bit data|" +
		"raw 8|nul bytes|null bytes|malformed header*|malformed mail|malformed email|mail is malformed|email is malformed|broken message|" +
		"corrupt*|incomplete message|unparsable|unparseable|cannot be parsed|delivered to header|eai|bare carriage|carriage return*|" +
		"more than one header|" +
		"not conform*|nonconform*|non conform*|conform to|comply with rfc|comply with the rfc|rfc violation*|violates rfc|message format|internet standards|" +
		"eight bit*|invalid mail header*|invalid message header*|bad mail header*|bad message header*|broken header*"},
	{"noRecipients", "no valid recipients|no recipients|need rcpt|no recipient specified|rcpt first|valid rcpt"},
	{"tooManyErrors", "too many errors|too many bad commands|too many unrecognized|too many unknown commands|too many protocol errors|too many syntax errors|too many invalid commands|" +
		"too many smtp errors|too many errors|too many nonmail|too many non mail|too many commands|too many junk commands|too many unauthenticated commands|too many nonmail commands|too many syntax|too long line|" +
		"too much failure*|too many failures|too many failed commands|too much errors|too many faults|too many wrong commands|too many bad smtp|too many smtp failures"},

	// The server itself.
	{"overload", "temporary failure|temporary system|system problem|system error|internal error*|internal server|local error|server error|" +
		"temporary error|temporary problem|server busy|service busy|too busy|busy|overload*|load too high|high load|load average|resources|" +
		"insufficient system|system storage|out of memory|cannot allocate|not enough memory|disk full|disk space|no space left|" +
		"insufficient disk|low on space|space shortage|queue file*|spool*|write error|error writing|shutting down|maintenance|going down|" +
		"service unavailable|service not available|service currently unavailable|service is currently|service temporarily|" +
		"temporarily unavailable|temporarily not available|server temporarily|not accepting messages|not accepting network|" +
		"not accepting connections|configuration error*|config error*|misconfig*|proxy negotiation|configuration problem|backend|upstream|" +
		"unable to process|cannot process|could not process|processing error|error in processing|internal resource|internal problem|unhandled|" +
		"database|ldap|mdb|ressources|storage error|queue unavailable|queue is full|mail server temporarily|try again later|system is|" +
		"unavailable|surcharge*|uberlastet|sobrecargado|sovraccaric*|sobrecarregado|przeciazon*|license expired|licence expired|" +
		"license has expired|system full|mail system full|unexpected failure|unexpected error|unexpected condition|software error|cant fork|" +
		"cannot fork|no mdb|resource temporarily|resource unavailable|overflow|temporary local|temporarily unable|technical difficult*|" +
		"technical problem*|technical error|too much load|load is too|out of disk|out of swap|no resources|swamped|not ready|not responding|" +
		"unreachable|not reachable|unable to accept|queue quota|queue full|try later|interrupted system call|server problem|" +
		"service problem|internal failure|system failure|service failure|server failure|temporary service|storage problem|storage failure|" +
		"hard error|crashed|reboot*|degraded|capacity|indisponible|nicht verfugbar|no disponible|non disponibile|indisponivel|niedostepn*|" +
		"erreur interne|interner fehler|error interno|blad wewnetrzny|errore interno"},
	{"timeout", "timeout|timed out|time out|connection expired|connection lost|lost connection|lost incoming|lost input|connection dropped|" +
		"connection reset|idle|inactivity timeout|talk faster|read data from client error|read error|connection time|expired try reconnecting|" +
		"took too long|delai depasse|zeituberschreitung|tiempo de espera|session expired|session time|no data received|connection error|" +
		"connection was dropped|time limit|timeout waiting|too slow|did not respond|no response|broken pipe|connection closed|peer|" +
		"nothing heard|no activity|inactive for|inactive too long|no command received|no input from|silence"},

	// Round in circles.
	{"loop", "loop|loops|looping|looped|mail loop|too many hops|hop count*|hops|too many received|boucle|schleife|bucle|petla|received headers|" +
		"received header*|number of received|maximum forwarding|mailloop|routing loop|loopback detected|mail looped|already has my delivered to|" +
		"delivered to line|infinite|forwarding loop*|circular|too many forwards|bounce loop|" +
		"points back|loops back|points to self|points to itself|mx list for|back to me|back to itself|back to myself"},
}
